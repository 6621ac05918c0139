/* Records of a checkpoint back into a table: the files of a chain in order, base first, every record of each. */
#ifndef TG_STATE_RESTORE_H
#define TG_STATE_RESTORE_H

#include "state/layout.h"
#include "state/format.h"
#include "state/table.h"

struct tg_restore {
    struct tg_table *table;
    struct tg_heap *heap;
    const struct tg_state_layout *now; /* of the table */
    uint32_t value_bytes;
    uint32_t mark_offset; /* struct tg_mark */
    /* Is the record this shard's, and still of use? NULL = all are.  */
    bool (*wanted)(void *self, const struct tg_state_record *record, uint64_t hash);
    /* Give a zeroed value what fresh state has besides zeros. NULL = nothing.  */
    void (*make_fresh)(void *self, void *value);
    void *self;
    /* of the file being read */
    const struct tg_state_layout *stored;
    struct tg_state_mapping mapping;
};

/* The next records were written under `stored`, which outlives them. Errors: TG1519.  @setup */
TG_MUST_USE tg_status tg_restore_begin(struct tg_restore *restore, const struct tg_state_layout *stored,
                                       struct tg_error *err);
enum { TG_RESTORE_RECORDS_MAX = 256 };
/* Apply records[count] of one table in their order, 1 to TG_RESTORE_RECORDS_MAX: together, because each is a cache miss
 * or two. Errors: TG1512 naming `file` and the byte; TG1601 when table or heap are spent.  @setup */
TG_MUST_USE tg_status tg_restore_records(struct tg_restore *restore, const struct tg_state_record *records,
                                         uint32_t count, const char *file, struct tg_error *err);

#endif
