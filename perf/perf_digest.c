/* ns per row of the null sink's digest on rows like job A's output (userId, count, timestamp, boolean), against the
 * plain way: put the text together with snprintf-free code, then one byte loop per row. Both must agree. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/prng.h"
#include "io/null/digest.h"

static struct tg_schema schema = {
    .name = "counts",
    .column_count = 4,
    .columns = {{.name = "userId", .type = TG_TYPE_TEXT},
                {.name = "purchaseCount", .type = TG_TYPE_INTEGER},
                {.name = "eventTimestamp", .type = TG_TYPE_TIMESTAMP},
                {.name = "isTimeout", .type = TG_TYPE_BOOLEAN}},
};

static uint64_t plain_hash(const struct tg_row *row)
{
    char text[256];
    struct tg_writer writer = {.data = text, .capacity = sizeof text};
    const tg_text *user = tg_row_value(&schema, row, 0);
    tg_write_bytes(&writer, user->data, user->bytes);
    tg_write_bytes(&writer, ",", 1);
    tg_write_i64(&writer, *(const int32_t *)tg_row_value(&schema, row, 1));
    tg_write_bytes(&writer, ",", 1);
    tg_write_i64(&writer, *(const tg_ts *)tg_row_value(&schema, row, 2) / 1000);
    tg_write_cstr(&writer, *(const bool *)tg_row_value(&schema, row, 3) ? ",true" : ",false");
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < writer.used; i++) { hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u; }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    hash ^= hash >> 33;
    hash *= 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 33);
}

static void batch_fill(struct tg_batch *batch, char (*names)[16], uint64_t seed)
{
    struct tg_prng prng = {seed};
    for (batch->count = 0; batch->count < batch->capacity; batch->count++) {
        struct tg_row *row = tg_batch_row(batch, batch->count);
        char *name = names[batch->count];
        const int bytes = snprintf(name, 16, "user_%u", tg_prng_below(&prng, 100000));
        *(tg_text *)tg_row_value(&schema, row, 0) = (tg_text){.data = name, .bytes = (uint32_t)bytes};
        *(int32_t *)tg_row_value(&schema, row, 1) = (int32_t)tg_prng_below(&prng, 15);
        *(tg_ts *)tg_row_value(&schema, row, 2) = 1700000000000000 + (int64_t)(tg_prng_next(&prng) % 2400000000u);
        *(bool *)tg_row_value(&schema, row, 3) = tg_prng_below(&prng, 2) != 0;
    }
}

int main(int argc, char **argv)
{
    const bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    enum { REPEAT = 10 };
    const uint32_t rounds = smoke ? 3 : 400;
    static char names[TG_BATCH_ROWS_MAX][16];
    struct tg_arena arena;
    tg_schema_layout(&schema);
    const struct tg_batch_config config = {.schema = &schema, .capacity = TG_BATCH_ROWS_MAX, .wm_capacity = 1};
    TG_ASSERT(tg_arena_open(&arena, tg_batch_bytes(&config), NULL) == TG_OK);
    struct tg_batch *batch = tg_batch_create(&config, &arena);
    batch_fill(batch, names, 42);
    const struct tg_clock clock = tg_clock_real();

    static struct tg_digest digest;
    tg_digest_init(&digest, &schema, 3);
    uint64_t sum = 0;
    double lanes_ns = 1e9;
    double plain_ns = 1e9;
    for (uint32_t i = 0; i < rounds; i++) { /* the best round: what the code can do when nobody else runs */
        uint64_t start = tg_clock_now_ns(&clock);
        for (uint32_t j = 0; j < REPEAT; j++) { tg_digest_add(&digest, batch, 0); }
        const double lanes = (double)(tg_clock_now_ns(&clock) - start) / REPEAT / batch->count;
        start = tg_clock_now_ns(&clock);
        for (uint32_t j = 0; j < REPEAT; j++) {
            for (uint32_t row = 0; row < batch->count; row++) { sum += plain_hash(tg_batch_row(batch, row)); }
        }
        const double plain = (double)(tg_clock_now_ns(&clock) - start) / REPEAT / batch->count;
        lanes_ns = lanes < lanes_ns ? lanes : lanes_ns;
        plain_ns = plain < plain_ns ? plain : plain_ns;
    }

    (void)printf("digest: four lanes %.1f ns/row, plain byte loop %.1f ns/row (best of %u), digest %016" PRIx64 "\n",
                 lanes_ns, plain_ns, rounds, digest.sum);
    TG_ASSERT(sum == digest.sum);
    TG_ASSERT(digest.rows == (uint64_t)rounds * REPEAT * batch->count);
    tg_arena_close(&arena);
    return 0;
}
