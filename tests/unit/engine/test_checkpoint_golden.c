/* Checkpoints of every released format load for ever: tests/data/checkpoint/v1 is a directory as format 1 writes it,
 * with every kind of field, a base and a delta on two shards. Its bytes are made again and compared, so that a change
 * of the format shows; after a deliberate one TURGO_WRITE_GOLDEN=folder makes the files of the new format, and the old
 * ones stay. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/checkpoint/conservation.h"
#include "engine/checkpoint/recovery.h"
#include "tests/checkpoint_maker.h"
#include "tests/source_path.h"

static const struct tg_state_field user_key[] = {{.name = "user", .kind = TG_STATE_TEXT},
                                                 {.name = "shop", .kind = TG_STATE_INTEGER}};
static const struct tg_state_field at[] = {{.name = "at", .kind = TG_STATE_TIMESTAMP}};
static const struct tg_state_field amount[] = {{.name = "amount", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field visit[] = {{.name = "at", .kind = TG_STATE_TIMESTAMP},
                                              {.name = "pages", .kind = TG_STATE_INTEGER}};
static const struct tg_state_field tally[] = {{.name = "id", .kind = TG_STATE_LABEL},
                                              {.name = "count", .kind = TG_STATE_BIGINT},
                                              {.name = "last", .kind = TG_STATE_TIMESTAMP}};
static const struct tg_state_field user_fields[] = {
    {.name = "latest", .kind = TG_STATE_TIMESTAMP},
    {.name = "count", .kind = TG_STATE_BIGINT},
    {.name = "pages", .kind = TG_STATE_INTEGER},
    {.name = "open", .kind = TG_STATE_BOOLEAN},
    {.name = "day", .kind = TG_STATE_DATE},
    {.name = "sum", .kind = TG_STATE_NUMERIC, .scale = 2},
    {.name = "raw", .kind = TG_STATE_NUMERIC, .scale = TG_STATE_SCALE_NONE},
    {.name = "kind", .kind = TG_STATE_ENUM},
    {.name = "ttl", .kind = TG_STATE_DURATION},
    {.name = "note", .kind = TG_STATE_TEXT},
    {.name = "label", .kind = TG_STATE_LABEL},
    {.name = "name", .kind = TG_STATE_NAME},
    {.name = "seen", .kind = TG_STATE_DEQUE, .element_count = 1, .elements = at},
    {.name = "amounts", .kind = TG_STATE_DEQUE, .element_count = 1, .elements = amount},
    {.name = "visits", .kind = TG_STATE_LIST, .element_count = 2, .elements = visit},
    {.name = "tallies", .kind = TG_STATE_MAP, .key_count = 1, .element_count = 3, .elements = tally},
};
static const struct tg_state_field id_key[] = {{.name = "id", .kind = TG_STATE_BIGINT}};
static const struct tg_state_field id_fields[] = {{.name = "first", .kind = TG_STATE_TIMESTAMP}};
static const struct tg_state_layout layouts[] = {{.owner_kind = TG_STATE_OF_STEP,
                                                  .owner = "counts",
                                                  .name = "recent",
                                                  .version = 3,
                                                  .key_count = 2,
                                                  .keys = user_key,
                                                  .field_count = sizeof user_fields / sizeof user_fields[0],
                                                  .fields = user_fields},
                                                 {.owner_kind = TG_STATE_OF_SOURCE,
                                                  .owner = "tx",
                                                  .name = "dedupe",
                                                  .version = 1,
                                                  .key_count = 1,
                                                  .keys = id_key,
                                                  .field_count = 1,
                                                  .fields = id_fields}};

enum { SHARDS = 2, USERS = 8 };
#define NOON INT64_C(1715421600000000) /* 2024-05-11T10:00:00Z */

static struct tg_arena arena;
static struct tg_error err;
static struct tg_manifest_file files[2 * SHARDS];

static uint32_t user_key_bytes(uint32_t user, uint8_t out[64])
{
    char name[16];
    struct tg_bytes_out to = {.data = out, .capacity = 64};
    const uint32_t bytes = (uint32_t)snprintf(name, sizeof name, "user \xEC\x84\x9C %" PRIu32, user);
    tg_bytes_put_u8(&to, 1);
    tg_bytes_put_u32(&to, bytes);
    tg_bytes_put(&to, name, bytes);
    tg_bytes_put_u8(&to, user % 4 != 3); /* some shops are null */
    if (user % 4 != 3) { tg_bytes_put_i64(&to, (int64_t)user - 4); }
    return (uint32_t)to.used;
}

static uint32_t user_value_bytes(uint32_t user, uint64_t epoch, uint8_t out[2048])
{
    static const char text[] = "a \"quoted\" line\nand \xC3\xA9";
    struct tg_bytes_out to = {.data = out, .capacity = 2048};
    const uint32_t count = user * (uint32_t)epoch;
    for (uint32_t i = 0; i < layouts[0].field_count; i++) {
        const struct tg_state_field *field = &user_fields[i];
        struct tg_state_scalar value = {.number = 0};
        switch (field->kind) {
        case TG_STATE_TIMESTAMP: value.number = user == 0 ? TG_TS_MIN : NOON + user * 1000001; break;
        case TG_STATE_BOOLEAN: value.number = user & 1; break;
        case TG_STATE_DATE: value.number = -1; break;
        case TG_STATE_NUMERIC: value.decimal = (tg_dec)count * 1000 - 5; break;
        case TG_STATE_TEXT: value.text = (tg_text){.data = text, .bytes = user * 2 == 12 ? 22 : 0}; break;
        case TG_STATE_LABEL: value.text = (tg_text){.data = text + 3, .bytes = user}; break;
        case TG_STATE_NAME: value.text = (tg_text){.data = text, .bytes = user + 3}; break;
        case TG_STATE_DEQUE:
        case TG_STATE_LIST:
        case TG_STATE_MAP: break;
        default: value.number = (int64_t)count * (i % 2 == 0 ? 1 : -1); break;
        }
        if (field->kind < TG_STATE_DEQUE) {
            tg_state_scalar_put(&to, field, &value);
            continue;
        }
        tg_bytes_put_u32(&to, count);
        for (uint32_t j = 0; j < count; j++) {
            for (uint32_t k = 0; k < field->element_count; k++) {
                value.number = j * 10 + (field->elements[k].kind == TG_STATE_TIMESTAMP ? NOON : 0);
                if (field->elements[k].kind == TG_STATE_LABEL) {
                    value.text = (tg_text){.data = &"0123456789abcdef"[j], .bytes = 2};
                }
                tg_state_scalar_put(&to, &field->elements[k], &value);
            }
        }
    }
    cr_assert_not(to.overflow);
    return (uint32_t)to.used;
}

static void put_record(struct tg_block *block, uint32_t shard, struct tg_key key, const uint8_t *value, uint32_t bytes)
{
    if (tg_key_shard(tg_key_hash(key.data, key.bytes), SHARDS) != shard) { return; }
    if (value == NULL) {
        cr_assert(tg_block_delete(block, key));
        return;
    }
    uint8_t *place = tg_block_put(block, key, bytes);
    cr_assert_not_null(place);
    memcpy(place, value, bytes);
}

/* Epoch 1: every user and id; epoch 2: users 5 to 7 anew, users 2 and 3 removed, id 100 new. */
static void fill_block(struct tg_block *block, uint32_t table, uint32_t shard, uint64_t epoch)
{
    uint8_t key[64], value[2048];
    for (uint32_t i = 0; table == 0 && i < USERS; i++) {
        const struct tg_key user = {.data = key, .bytes = user_key_bytes(i, key)};
        const uint32_t bytes = user_value_bytes(i, epoch, value);
        const bool is_gone = epoch == 2 && (i == 2 || i == 3);
        if (epoch == 1 || i >= 5 || is_gone) { put_record(block, shard, user, is_gone ? NULL : value, bytes); }
    }
    for (uint64_t id = epoch == 1 ? 0 : 100; table == 1 && id < (epoch == 1 ? 6 : 101); id++) {
        const int64_t first = NOON + (int64_t)id;
        key[0] = 1;
        memcpy(key + 1, &id, 8);
        memcpy(value, &first, 8);
        put_record(block, shard, (struct tg_key){.data = key, .bytes = 9}, value, 8);
    }
}

static void write_file(struct tg_store *store, uint32_t shard, uint64_t epoch)
{
    static uint8_t head[TG_STATE_HEADER_BYTES_MAX], memory[TG_BLOCK_BYTES_MAX];
    struct tg_state_header header = maker_header(NULL, shard, SHARDS, epoch, epoch - 1);
    header.job = "golden";
    header.table_count = 2;
    header.tables = layouts;
    struct tg_state_totals totals;
    struct tg_bytes_out out = {.data = head, .capacity = sizeof head};
    cr_assert_eq(tg_state_header_encode(&header, &out, &totals, &err), TG_OK, "%s", err.text);
    struct tg_store_file file = {0};
    cr_assert_eq(tg_store_file_create(store, epoch, shard, epoch == 1, &file, &err), TG_OK, "%s", err.text);
    cr_assert_eq(tg_store_file_append(store, &file, head, out.used, &err), TG_OK);
    for (uint32_t table = 0; table < 2; table++) {
        struct tg_block block;
        tg_block_begin(&block, memory, sizeof memory, table);
        fill_block(&block, table, shard, epoch);
        const uint32_t bytes = tg_block_end(&block, &header, &totals);
        cr_assert_eq(tg_store_file_append(store, &file, memory, bytes, &err), TG_OK);
    }
    uint8_t footer[TG_STATE_FOOTER_BYTES];
    tg_state_footer_encode(&header, &totals, footer);
    cr_assert_eq(tg_store_file_append(store, &file, footer, sizeof footer, &err), TG_OK);
    files[shard * 2 + epoch - 1] = (struct tg_manifest_file){
        .shard = shard, .kind = header.kind, .epoch = epoch, .bytes = file.bytes, .crc = totals.footer_crc};
    cr_assert_eq(tg_store_file_finish(store, &file, &err), TG_OK);
}

static void write_manifest(struct tg_store *store, uint64_t epoch)
{
    static uint8_t bytes[65536];
    const struct tg_manifest_partition partitions[2] = {{.next_offset = 17,
                                                         .max_ts = NOON,
                                                         .wm = NOON - 5000000,
                                                         .flags = TG_PARTITION_HAS_VALID,
                                                         .records = 17,
                                                         .late = 2,
                                                         .accepted = 15},
                                                        {.next_offset = -1,
                                                         .max_ts = TG_TS_MIN,
                                                         .wm = TG_TS_MIN,
                                                         .flags = TG_PARTITION_AT_END | TG_PARTITION_IDLE,
                                                         .quiet_ns = 7,
                                                         .idle_base_wm = TG_TS_MIN,
                                                         .idle_base_ns = 3}};
    const struct tg_manifest_source source = {.name = "tx",
                                              .connector = "kafka",
                                              .cluster = "Zk9vQ2",
                                              .topic = "transactions",
                                              .partition_count = 2,
                                              .partitions = partitions};
    const int64_t clocks[3] = {NOON - 6000000, TG_TS_MIN, TG_TS_MIN};
    const struct tg_tally tallies[2] = {
        {.applied = 12, .ignored = 2, .refused = 1, .sum = 0xFEDCBA9876543210, .squares = 0x0123456789ABCDEF}};
    const struct tg_manifest_step step = {.name = "counts",
                                          .op = "purchase_count",
                                          .layout = &layouts[0],
                                          .clock_count = 3,
                                          .clocks = clocks,
                                          .from_source = true,
                                          .tally_count = 2,
                                          .tallies = tallies};
    const struct tg_committable committables[SHARDS] = {{.data = (const uint8_t *)"part-0\0x", .bytes = 8},
                                                        {.bytes = 0}};
    const struct tg_manifest_sink sinks[2] = {
        {.name = "out", .connector = "file", .committable_count = SHARDS, .committables = committables},
        {.name = "dead_letters", .connector = "file"}};
    struct tg_manifest_file chain[2 * SHARDS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 2 * SHARDS; i++) {
        if (files[i].epoch != 0 && files[i].epoch <= epoch) { chain[count++] = files[i]; }
    }
    struct tg_manifest manifest = {.job = "golden",
                                   .epoch = epoch,
                                   .created_us = NOON + (int64_t)epoch * 10000000,
                                   .generation = 1,
                                   .version_base = NOON,
                                   .job_clock_base = NOON + 268435456,
                                   .graph_hash = 0xABCD,
                                   .hash_seed = 0x0123456789ABCDEF,
                                   .key_group_count = TG_KEY_GROUP_COUNT,
                                   .shard_count = SHARDS,
                                   .source_count = 1,
                                   .step_count = 1,
                                   .file_count = count,
                                   .sink_count = 2,
                                   .sources = &source,
                                   .steps = &step,
                                   .files = chain,
                                   .sinks = sinks};
    memset(manifest.run_id.bytes, 0x5A, sizeof manifest.run_id.bytes);
    struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
    bool decided;
    cr_assert_null(tg_manifest_flaw(&manifest));
    cr_assert_eq(tg_manifest_encode(&manifest, &out, &err), TG_OK);
    cr_assert_eq(tg_store_publish(store, epoch, out.data, out.used, &decided, &err), TG_OK, "%s", err.text);
}

static void write_directory(const char *path)
{
    struct tg_store store;
    cr_assert_eq(tg_store_open(&store, &(struct tg_store_config){.path = path, .pid = 1}, &err), TG_OK, "%s", err.text);
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        cr_assert_eq(tg_store_epoch_begin(&store, epoch, &err), TG_OK, "%s", err.text);
        for (uint32_t shard = 0; shard < SHARDS; shard++) { write_file(&store, shard, epoch); }
        write_manifest(&store, epoch);
    }
    cr_assert_eq(tg_store_acknowledge(&store, 1, 1, &err), TG_OK);
    tg_store_close(&store);
}

Test(golden, format_1_is_written_as_it_always_was)
{
    const char *folder = getenv("TURGO_WRITE_GOLDEN");
    char made[] = "/tmp/turgo-golden-XXXXXX";
    if (folder == NULL) { folder = mkdtemp(made); }
    cr_assert_not_null(folder);
    write_directory(folder);
    char command[2048];
    (void)snprintf(command, sizeof command, "diff -r -x LOCK -x 'GENERATION-*' '%s' '%s'", folder,
                   tg_test_source_path("tests/data/checkpoint/v1"));
    cr_assert_eq(system(command), 0);
    if (folder != made) { return; }
    (void)snprintf(command, sizeof command, "rm -rf '%s'", made);
    cr_assert_eq(system(command), 0);
}

Test(golden, format_1_loads)
{
    struct tg_store store;
    cr_assert_eq(tg_arena_open(&arena, TG_RECOVERY_ARENA_BYTES, NULL), TG_OK);
    cr_assert_eq(tg_store_open(&store,
                               &(struct tg_store_config){.path = tg_test_source_path("tests/data/checkpoint/v1"),
                                                         .read_only = true},
                               &err),
                 TG_OK);
    const int64_t log_end[2] = {17, 0};
    const struct tg_recovery_source source = {
        .name = "tx", .cluster = "Zk9vQ2", .topic = "transactions", .partition_count = 2, .log_end = log_end};
    const struct tg_recovery_sink sink = {.name = "out", .connector = "file"};
    const struct tg_recovery_wanted wanted = {
        .job = "golden", .graph_hash = 0xABCD, .source_count = 1, .sources = &source, .sink_count = 1, .sinks = &sink};
    struct tg_recovery_choice choice;
    cr_assert_eq(tg_recovery_choose(&store, &wanted, &arena, &choice, &err), TG_OK, "%s", err.text);
    cr_assert(choice.found && choice.epoch == 2 && choice.newest == 2);
    cr_assert_not(tg_recovery_is_settled(&store, &choice.manifest));
    const struct tg_manifest *m = &choice.manifest;
    cr_assert(m->created_us == NOON + 20000000 && m->hash_seed == 0x0123456789ABCDEF && m->file_count == 4);
    cr_assert(m->sources[0].partitions[1].quiet_ns == 7 && m->sources[0].partitions[0].late == 2);
    cr_assert(m->steps[0].clock_count == 3 && m->steps[0].clocks[0] == NOON - 6000000);
    cr_assert(tg_state_layout_equal(m->steps[0].layout, &layouts[0]));
    cr_assert(m->sinks[0].committables[0].bytes == 8 && memcmp(m->sinks[0].committables[0].data, "part-0\0x", 8) == 0);
    cr_assert(m->steps[0].from_source && m->steps[0].tally_first == 0 && m->steps[0].tally_count == 2);
    cr_assert(m->steps[0].tallies[0].applied == 12 && m->steps[0].tallies[0].squares == 0x0123456789ABCDEF);
    cr_assert(m->sources[0].partitions[0].accepted == 15 && m->steps[0].tallies[1].applied == 0);
    cr_assert_eq(tg_conservation_check(m, &err), TG_OK, "%s", err.text);
    struct tg_recovery_totals totals;
    cr_assert_eq(tg_recovery_verify(&store, m, 1, NULL, &totals, &err), TG_OK, "%s", err.text);
    cr_assert_eq(totals.puts, USERS + 6 + 3 + 1);
    cr_assert_eq(totals.deletes, 2);
    tg_arena_close(&arena);
    tg_store_close(&store);
}
