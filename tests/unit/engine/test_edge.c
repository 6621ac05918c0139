/* Edges: what one shard sends arrives once, in order, with watermarks behind the rows they cover. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/prng.h"
#include "engine/edge.h"
#include "tests/seed.h"

enum { SHARDS = 3, PARTITIONS = 4 };

struct sample {
    struct tg_row head;
    tg_text name;
    int64_t number;
    uint8_t nulls[8];
};

static struct tg_schema schema;
static struct tg_edge_plan plan;
static struct tg_edge edge;
static struct tg_edge_out outs[SHARDS];
static struct tg_arena arena;

static void setup(void)
{
    schema = (struct tg_schema){.name = "sample", .column_count = 2};
    schema.columns[0] = (struct tg_column){.name = "name", .type = TG_TYPE_TEXT};
    schema.columns[1] = (struct tg_column){.name = "number", .type = TG_TYPE_BIGINT};
    tg_schema_layout(&schema);
    cr_assert_eq(schema.row_bytes, sizeof(struct sample));
    plan = (struct tg_edge_plan){.schema = &schema, .partition_first = 10, .partition_count = PARTITIONS};
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&arena, (size_t)1 << 30, &err), TG_OK);
    cr_assert_eq(tg_edge_init(&edge, &plan, SHARDS, &arena, &err), TG_OK);
    for (uint32_t i = 0; i < SHARDS; i++) {
        cr_assert_eq(tg_edge_out_init(&outs[i], &edge, i, SHARDS, &arena, &err), TG_OK);
    }
}
static void teardown(void) { tg_arena_close(&arena); }

TestSuite(edge, .init = setup, .fini = teardown);

static struct sample sample_row(int64_t number, uint64_t hash, char text[32])
{
    (void)snprintf(text, 32, "row %" PRId64, number);
    struct sample row = {.name = {.data = text, .bytes = (uint32_t)strlen(text)}, .number = number};
    row.head.hash = hash;
    row.head.offset = number;
    return row;
}

Test(edge, random_traffic_arrives_once_in_order_and_watermarks_stay_behind_their_rows)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    int64_t sent[SHARDS][SHARDS] = {{0}}; /* rows per (from, to) */
    int64_t received[SHARDS][SHARDS] = {{0}};
    int64_t covers[SHARDS][SHARDS][4096]; /* rows sent when watermark w of `from` was announced */
    int64_t wms[SHARDS] = {0};
    for (uint32_t step = 0; step < 60000; step++) {
        const uint32_t from = tg_prng_below(&prng, SHARDS);
        const uint32_t action = tg_prng_below(&prng, 10);
        if (action < 6) {
            char text[32];
            const uint64_t hash = tg_prng_next(&prng);
            const uint32_t to = tg_key_shard(hash, SHARDS);
            const struct sample row = sample_row(sent[from][to], hash, text);
            if (tg_edge_out_row(&outs[from], &row.head, NULL, 1)) { sent[from][to]++; }
            memset(text, '!', sizeof text); /* the edge must have its own copy */
        } else if (action == 6 && wms[from] < 4095) {
            wms[from]++;
            for (uint32_t to = 0; to < SHARDS; to++) { covers[from][to][wms[from]] = sent[from][to]; }
            tg_edge_out_wm(&outs[from], 10 + from, wms[from]);
        } else if (action == 7) {
            (void)tg_edge_out_flush(&outs[from], tg_prng_below(&prng, 2) * 20);
        } else {
            const uint32_t to = tg_prng_below(&prng, SHARDS);
            struct tg_batch *batch = tg_edge_in_pop(&edge, to, from);
            if (batch == NULL) { continue; }
            for (uint32_t i = 0; i < batch->count; i++) {
                const struct sample *row = (const struct sample *)(const void *)tg_batch_row(batch, i);
                char text[32];
                const struct sample expected = sample_row(received[from][to], row->head.hash, text);
                cr_assert_eq(row->number, received[from][to], "seed %" PRIu64 " step %u", seed, step);
                cr_assert_eq(row->name.bytes, expected.name.bytes);
                cr_assert_eq(memcmp(row->name.data, text, row->name.bytes), 0, "seed %" PRIu64 " step %u", seed, step);
                received[from][to]++;
            }
            for (uint32_t i = 0; i < batch->wm_count; i++) {
                cr_assert_eq(batch->wms[i].partition, 10 + from);
                cr_assert_geq(received[from][to], covers[from][to][batch->wms[i].wm],
                              "a watermark overtook rows: seed %" PRIu64 " step %u", seed, step);
            }
            tg_batch_reset(batch);
            tg_edge_in_return(&edge, to, from, batch);
        }
    }
    for (uint32_t from = 0; from < SHARDS; from++) { cr_assert_gt(sent[from][from], 1000); }
}

Test(edge, a_full_edge_refuses_and_loses_nothing)
{
    char text[32];
    int64_t sent = 0;
    const uint64_t hash = 0; /* shard 0 */
    for (;;) {
        const struct sample row = sample_row(sent, hash, text);
        if (!tg_edge_out_row(&outs[1], &row.head, NULL, 1)) { break; }
        sent++;
        cr_assert_lt(sent, 100000);
    }
    cr_assert_eq(sent, (int64_t)TG_EDGE_BATCHES * TG_EDGE_ROWS);
    int64_t received = 0;
    struct tg_batch *batch;
    while ((batch = tg_edge_in_pop(&edge, 0, 1)) != NULL) {
        for (uint32_t i = 0; i < batch->count; i++) { cr_assert_eq(tg_batch_row(batch, i)->offset, received++); }
        tg_batch_reset(batch);
        tg_edge_in_return(&edge, 0, 1, batch);
    }
    cr_assert_eq(received, sent);
    const struct sample row = sample_row(sent, hash, text);
    cr_assert(tg_edge_out_row(&outs[1], &row.head, NULL, 1), "returned batches are used again");
}

Test(edge, the_end_follows_everything_and_is_sent_once)
{
    char text[32];
    const struct sample row = sample_row(0, 0, text);
    cr_assert(tg_edge_out_row(&outs[2], &row.head, NULL, 1));
    tg_edge_out_wm(&outs[2], 12, TG_TS_MAX);
    tg_edge_out_end(&outs[2]);
    cr_assert_not(tg_edge_out_clean(&outs[2]));
    (void)tg_edge_out_flush(&outs[2], 0);
    cr_assert(tg_edge_out_clean(&outs[2]));
    cr_assert_eq(tg_edge_out_flush(&outs[2], 0), 0);
    for (uint32_t to = 0; to < SHARDS; to++) {
        struct tg_batch *batch = tg_edge_in_pop(&edge, to, 2);
        cr_assert_not_null(batch);
        cr_assert_eq(batch->count, to == 0 ? 1 : 0);
        cr_assert_eq(batch->wm_count, 1);
        cr_assert_eq(batch->flags, TG_BATCH_END);
        cr_assert_null(tg_edge_in_pop(&edge, to, 2));
    }
}
