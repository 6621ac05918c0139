/* The hash by which a checkpoint knows its job's graph: the bytes of docs/formats/checkpoint.md, and what changes it.
 */
#include "base/bytes.h"
#include "base/key.h"
#include "engine/checkpoint/state_layout.h"
#include "tests/unit/engine/config_fixture.h"

enum { LINE_FIELDS = 6, LINE_EVENT_TIME = 9 };

static uint64_t hash_with(uint32_t line, const char *replacement, const char *set)
{
    struct tg_job *job;
    struct tg_plan *plan = fixture_plan(fixture_with(line, replacement, ""), set, &job);
    const uint64_t hash = tg_job_graph_hash(plan);
    tg_plan_destroy(plan);
    tg_job_destroy(job);
    return hash;
}

static uint64_t hash_of_dedupe(const char *dedupe)
{
    char line[256];
    (void)snprintf(line, sizeof line, "    event_time: at\n    dedupe: {%s, ttl: 1h}", dedupe);
    return hash_with(LINE_EVENT_TIME, line, NULL);
}

static void put_column(struct tg_bytes_out *out, const char *name, enum tg_type type)
{
    tg_bytes_put_text(out, name);
    tg_bytes_put_u8(out, (uint8_t)type);
}

static void put_step(struct tg_bytes_out *out)
{
    tg_bytes_put_text(out, "counts");
    tg_bytes_put_text(out, "purchase_count");
    tg_bytes_put_text(out, "tx");
    tg_bytes_put_u8(out, 1);
    put_column(out, "user_id", TG_TYPE_TEXT);
}

Test(graph_hash, is_that_of_the_documented_bytes)
{
    uint8_t bytes[256];
    struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
    tg_bytes_put_text(&out, "tx");
    tg_bytes_put_u8(&out, 0);
    put_step(&out);
    cr_assert_eq(hash_with(0, NULL, NULL), tg_key_hash(bytes, (uint32_t)out.used));
    out.used = 0;
    tg_bytes_put_text(&out, "tx");
    tg_bytes_put_u8(&out, 2);
    put_column(&out, "user_id", TG_TYPE_TEXT);
    put_column(&out, "amount", TG_TYPE_NUMERIC);
    put_step(&out);
    cr_assert_eq(hash_of_dedupe("by: amount, per: [user_id]"), tg_key_hash(bytes, (uint32_t)out.used));
}

/* Identities of other columns are not these. */
Test(graph_hash, knows_the_columns_of_dedupe)
{
    const uint64_t hashes[] = {
        hash_with(0, NULL, NULL),
        hash_of_dedupe("by: amount"),
        hash_of_dedupe("by: user_id"),
        hash_of_dedupe("by: amount, per: [user_id]"),
        hash_of_dedupe("by: user_id, per: [amount]"),
    };
    for (uint32_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        for (uint32_t j = 0; j < i; j++) { cr_assert_neq(hashes[i], hashes[j], "%u and %u", i, j); }
    }
}

Test(graph_hash, knows_types_of_keys_but_no_parameters)
{
    const uint64_t hash = hash_with(0, NULL, NULL);
    cr_assert_eq(hash_with(0, NULL, "steps.counts.process.params.idle=40s"), hash);
    cr_assert_eq(hash_with(0, NULL, "sources.tx.watermark.delay=1m"), hash);
    cr_assert_neq(hash_with(LINE_FIELDS, "      user_id: {type: bigint, required: true}", NULL), hash);
}
