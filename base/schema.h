/* The columns of a row and where each one lies. A schema is built once at set-up and never changes. */
#ifndef TG_BASE_SCHEMA_H
#define TG_BASE_SCHEMA_H

#include "base/limits.h"
#include "base/status.h"
#include "base/types.h"

/* What a sink may do to a column when its peer refuses the row for its size; see tg_row_shorten. */
enum tg_shorten {
    TG_SHORTEN_NEVER,
    TG_SHORTEN_TEXT,   /* UTF-8: its beginning says enough */
    TG_SHORTEN_BASE64, /* the same for bytes in base64 */
    TG_SHORTEN_LENGTH, /* bigint, null unless shortened: how many bytes there were */
};
enum { TG_SHORTEN_BYTES = 4096 }; /* that stay */

struct tg_column {
    const char *name; /* borrowed for the schema's life */
    enum tg_type type;
    uint8_t precision;              /* numeric only */
    uint8_t scale;                  /* numeric only */
    uint16_t enum_count;            /* enum only */
    bool omit_null;                 /* as JSON: left out when null */
    enum tg_shorten shorten;
    uint32_t text_bytes_max;        /* text and json: longest value; 0 = TG_TEXT_BYTES_MAX */
    const char *const *enum_values; /* [enum_count], enum only; borrowed */
    uint32_t offset;                /* from the row's first byte, head included; tg_schema_layout fills it */
};

/* Row layout: struct tg_row (48 bytes), columns in order with natural alignment, null bitmap (bit i set = column i is
 * null), padded to a multiple of 16. */
struct tg_schema {
    const char *name;
    uint32_t column_count;
    uint32_t row_bytes;    /* stride between rows */
    uint32_t nulls_offset; /* of the null bitmap */
    uint32_t text_count;   /* columns of type text or json ... */
    uint8_t text_columns[TG_COLUMNS_MAX]; /* ... and which they are */
    struct tg_column columns[TG_COLUMNS_MAX];
};

/* What stands before the columns of every row. */
struct tg_row {
    int64_t ts;     /* event time (source rows) or output time (step rows) */
    int64_t wm;     /* wm_p of the row's partition just before it; step rows: the step's clock */
    int64_t offset; /* of the source record that caused the row */
    uint64_t hash;  /* of the key of the edge the row travels on */
    union {
        uint64_t refused; /* source rows: bit i = step i judged it late */
        int64_t revision; /* step rows: without base */
    };
    uint32_t partition; /* index over the partitions of all sources of the job (tg_job.partition_base) */
    uint32_t flags;     /* TG_ROW_* */
};
static_assert(sizeof(struct tg_row) == 48, "the head is part of the row layout");

enum { TG_ROW_FINAL = 1 };

/* Compute everything that follows from names and types.  @setup */
void tg_schema_layout(struct tg_schema *schema);

/* Index of the column called `name`, or -1.  @any */
int tg_schema_find(const struct tg_schema *schema, const char *name);

/* Copy a row, its TG_SHORTEN_ columns cut down to TG_SHORTEN_BYTES bytes of content and the length filled in; false,
 * and nothing is copied, when it has none that is longer. The copy borrows the row's texts.  @any */
TG_MUST_USE bool tg_row_shorten(const struct tg_schema *schema, const struct tg_row *row, struct tg_row *copy);

static inline bool tg_row_is_null(const struct tg_schema *schema, const void *row, uint32_t column)
{
    const uint8_t *nulls = (const uint8_t *)row + schema->nulls_offset;
    return (nulls[column >> 3] >> (column & 7)) & 1;
}
static inline void tg_row_set_null(const struct tg_schema *schema, void *row, uint32_t column, bool is_null)
{
    uint8_t *byte = (uint8_t *)row + schema->nulls_offset + (column >> 3);
    const uint8_t bit = (uint8_t)(1u << (column & 7));
    *byte = (uint8_t)(is_null ? *byte | bit : *byte & ~bit);
}
/* Address of a column's value in a row.  @any */
static inline void *tg_row_value(const struct tg_schema *schema, const void *row, uint32_t column)
{
    return (uint8_t *)(uintptr_t)row + schema->columns[column].offset;
}

#endif
