/* Dead letters and late entries as rows: their schemas and how one row is made. */
#ifndef TG_ENGINE_SIDE_OUTPUTS_H
#define TG_ENGINE_SIDE_OUTPUTS_H

#include "engine/job.h"

/* Room for one row of either schema. */
struct tg_side_row {
    struct tg_row head;
    uint8_t columns[256];
};

struct tg_dead_letter {
    const char *topic;
    uint32_t partition;
    int64_t offset;
    const char *reason;
    const char *field;  /* the record's name of it; NULL = the document */
    const uint8_t *raw; /* NULL = tombstone */
    uint32_t raw_bytes;
    bool raw_unchecked; /* refused before its encoding was found right: it may not be UTF-8 */
    tg_ts time;         /* TG_TS_MIN = leave out (replay) */
};

/* The row points into the letter's strings and, for raw bytes that are not UTF-8, into text[text_bytes] (base64).
 * @shard */
void tg_dead_letter_row(const struct tg_dead_letter *letter, uint8_t *text, uint32_t text_bytes,
                        struct tg_side_row *row);

struct tg_late_entry {
    const char *topic;
    uint32_t partition;
    int64_t offset;
    tg_ts ts;
    int64_t wm;
    uint64_t steps; /* bit i = step i refuses the row */
};
/* `text` holds the list of step names.  @shard */
void tg_late_row(const struct tg_late_entry *entry, const struct tg_job *job, char *text, uint32_t text_bytes,
                 struct tg_side_row *row);

#endif
