/* The member names a decoder wants, and the way from a key in a document to one of them.
 * A dotted name "a.b" is the member b of the object that is member a; a literal key "a.b" is never it. Every object
 * that holds wanted names is a scope (0 = the document itself); each (scope, name) is one member, shared by all fields
 * that list it.
 * Records of one topic mostly have the same keys in the same order, so a learned list of keys (the shape) is tried
 * before the hash table: one masked compare of 16 or 32 bytes per key, for unwanted keys too. A key that was left out
 * or added costs one hash look-up; the shape then resumes where the found key stands. Keys with a blank before their
 * colon are not learned. */
#ifndef TG_IO_DECODE_NAMES_H
#define TG_IO_DECODE_NAMES_H

#include <stdbool.h>
#include <string.h>

#include "io/decode.h"

enum {
    TG_SHAPE_COUNT = 64,     /* keys of a document that are learned; later ones go through the hash table */
    TG_SHAPE_KEY_BYTES = 32, /* a key as compact JSON spells it: quote, name, quote, colon */
};
static_assert((int)TG_SHAPE_KEY_BYTES < (int)TG_BUFFER_PADDING, "a key in the last bytes is compared with whole words");

struct tg_member {
    const char *name; /* not terminated: a segment of a field's name */
    uint32_t bytes;
    uint32_t scope;    /* of the object it stands in */
    uint32_t opens;    /* scope of its object value, 0 = nothing inside it is wanted */
    uint32_t shape_at; /* where the shape had it last */
};

struct tg_shape {
    uint64_t words[4]; /* the key with its quotes and colon */
    uint64_t masks[4];
    uint32_t bytes; /* of it */
    uint32_t scope; /* UINT32_MAX: nothing learned yet */
    uint32_t member; /* names->member_count: nobody wants this key */
    uint32_t opens; /* of the member */
};

struct tg_names {
    struct tg_member *members; /* [member_count + 1]; the last one stands for every unwanted key */
    uint32_t *parents;         /* [scope_count] scope around each scope; parents[0] = 0 */
    uint32_t *table;           /* [table_mask + 1] member + 1, 0 = free; linear probing */
    uint32_t *aliases;         /* [sum of name_count] members in the order of the fields' name lists */
    uint32_t member_count;
    uint32_t scope_count;
    uint32_t table_mask;
    uint32_t cursor; /* of the shape, within the current document */
    struct tg_shape shape[TG_SHAPE_COUNT + 1]; /* the last one never learns and never matches */
};

/* Compile the names of fields[count]; keeps pointers into them. False when there is no memory.  @setup */
TG_MUST_USE bool tg_names_init(struct tg_names *names, const struct tg_field_spec *fields, uint32_t count);
void tg_names_deinit(struct tg_names *names);

/* The member called name[bytes] (unescaped) in `scope`, or member_count.  @shard */
uint32_t tg_names_find(const struct tg_names *names, uint32_t scope, const uint8_t *name, uint32_t bytes);

/* The same for a key without escapes as it stands in a document between its quotes, when the shape did not expect it;
 * teaches the shape.  @shard */
uint32_t tg_names_learn(struct tg_names *names, uint32_t scope, const uint8_t *key, uint32_t bytes);

/* Forget what `found` ([member_count + 1]) holds for members below scope `scope`.  @shard */
void tg_names_forget(const struct tg_names *names, uint32_t scope, uint32_t *found);

/* True when the key whose opening quote is key[0], its closing quote and its colon stand there as the shape expects
 * them; then nothing else about them needs checking. The TG_SHAPE_KEY_BYTES from `key` on are readable.  @shard */
TG_HOT static inline bool tg_shape_matches(const struct tg_shape *shape, uint32_t scope, const uint8_t *key)
{
    uint64_t text[4];
    memcpy(text, key, 16);
    uint64_t differ = ((text[0] ^ shape->words[0]) & shape->masks[0]) | ((text[1] ^ shape->words[1]) & shape->masks[1]);
    if (shape->bytes > 16) {
        memcpy(text + 2, key + 16, 16);
        differ |= ((text[2] ^ shape->words[2]) & shape->masks[2]) | ((text[3] ^ shape->words[3]) & shape->masks[3]);
    }
    return (differ | (shape->scope ^ scope)) == 0;
}

#endif
