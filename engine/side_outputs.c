/* The two built-in outputs every job has: refused records and late ones. */
#include <string.h>

#include "base/schema.h"
#include "engine/job.h"

/* Laid out on first use, which is set-up: before any shard runs. */
static const struct tg_schema *laid_out(struct tg_schema *schema)
{
    if (schema->row_bytes == 0) { tg_schema_layout(schema); }
    return schema;
}

const struct tg_schema *tg_dead_letter_schema(void)
{
    static struct tg_schema schema = {
        .name = "dead_letters",
        .column_count = 9,
        .columns =
            {
                {.name = "topic", .type = TG_TYPE_TEXT},
                {.name = "partition", .type = TG_TYPE_INTEGER},
                {.name = "offset", .type = TG_TYPE_BIGINT},
                {.name = "reason", .type = TG_TYPE_TEXT},
                {.name = "field", .type = TG_TYPE_TEXT},
                {.name = "raw",
                 .type = TG_TYPE_TEXT,
                 .omit_null = true,
                 .shorten = TG_SHORTEN_TEXT,
                 .text_bytes_max = TG_RECORD_BYTES_MAX},
                {.name = "raw_base64",
                 .type = TG_TYPE_TEXT,
                 .omit_null = true,
                 .shorten = TG_SHORTEN_BASE64,
                 .text_bytes_max = TG_RECORD_BYTES_MAX / 3 * 4 + 4},
                {.name = "raw_bytes", .type = TG_TYPE_BIGINT, .omit_null = true, .shorten = TG_SHORTEN_LENGTH},
                {.name = "time", .type = TG_TYPE_TIMESTAMP, .omit_null = true},
            },
    };
    return laid_out(&schema);
}

const struct tg_schema *tg_late_schema(void)
{
    static struct tg_schema schema = {
        .name = "late",
        .column_count = 7,
        .columns =
            {
                {.name = "topic", .type = TG_TYPE_TEXT},
                {.name = "partition", .type = TG_TYPE_INTEGER},
                {.name = "offset", .type = TG_TYPE_BIGINT},
                {.name = "ts", .type = TG_TYPE_TIMESTAMP},
                {.name = "wm", .type = TG_TYPE_TIMESTAMP},
                {.name = "lateness_us", .type = TG_TYPE_BIGINT},
                {.name = "steps", .type = TG_TYPE_JSON},
            },
    };
    return laid_out(&schema);
}
