/* What an operator's declaration says about bytes: checked once at registration, used by the plan to find the
 * containers of a state, printed for people. */
#ifndef TG_ENGINE_LAYOUT_H
#define TG_ENGINE_LAYOUT_H

#include <stdio.h>

#include "engine/turgo.h"

/* A container in a state. */
struct tg_container {
    enum tg_kind kind;
    uint32_t offset;                 /* in the state */
    uint32_t element_bytes;          /* of a list */
    struct tg_map_shape shape;       /* of a map */
    const struct tg_record *element; /* of a list, the value of a map; NULL for deques */
};

/* Offset of field `index` in the record's C struct (natural alignment).  @any */
uint32_t tg_record_offset(const struct tg_record *record, uint32_t index);
/* Largest alignment of a field: 1, 2, 4, 8 or 16.  @any */
uint32_t tg_record_align(const struct tg_record *record);
/* Assert that the offsets this module computes are the compiler's, in the record and in the records of its containers.
 * @setup */
void tg_record_check(const struct tg_record *record);

/* Field `index` of `state`, which is a container.  @setup */
struct tg_container tg_layout_container(const struct tg_record *state, uint32_t index);
/* The containers of `state`, deques first, into out[state->field_count]; returns how many, *deque_count of them deques.
 * @setup */
uint32_t tg_layout_containers(const struct tg_record *state, struct tg_container *out, uint32_t *deque_count);
/* Give back what the containers of one key's state hold; they are empty then.  @shard */
void tg_layout_clear(const struct tg_container *containers, uint32_t count, struct tg_heap *heap, void *state);
/* One container of them.  @shard */
void tg_container_clear(const struct tg_container *container, struct tg_heap *heap, void *state);

/* The state's fields with offset, bytes, kind and what containers hold, each line behind `indent`.  @any */
void tg_layout_print(const struct tg_operator *op, const char *indent, FILE *out);
/* The whole operator: what it reads, emits, takes and keeps.  @any */
void tg_operator_print(const struct tg_operator *op, FILE *out);

#endif
