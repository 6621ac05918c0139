/* Manifests: what is encoded is decoded, and nothing else ever is. */
#include <criterion/criterion.h>

#include "base/crc32c.h"
#include "engine/checkpoint/sinks.h"
#include "tests/manifest_equal.h"
#include "tests/manifest_maker.h"
#include "tests/seed.h"

static struct maker maker;
static uint64_t seed;
static uint8_t *bytes;
static size_t bytes_used;
enum { BYTES_MAX = 4 << 20 };

static void begin(void)
{
    seed = tg_test_seed();
    maker_open(&maker, seed);
    bytes = malloc(BYTES_MAX);
}
static void end(void)
{
    free(bytes);
    maker_close(&maker);
}
TestSuite(manifest, .init = begin, .fini = end, .timeout = 200);

static void encode(const struct tg_manifest *manifest)
{
    struct tg_bytes_out out = {.data = bytes, .capacity = BYTES_MAX};
    struct tg_error err = {0};
    const char *flaw = tg_manifest_flaw(manifest);
    cr_assert_null(flaw, "seed %" PRIu64 ": %s", seed, flaw);
    cr_assert_eq(tg_manifest_encode(manifest, &out, &err), TG_OK, "%s", err.text);
    bytes_used = out.used;
}

/* Decode data[count] from memory of exactly that size; TG_OK only when it equals `wanted`. */
static tg_status decode(const uint8_t *data, size_t count, const struct tg_manifest *wanted, struct tg_error *err)
{
    struct tg_arena arena;
    cr_assert_eq(tg_arena_open(&arena, (size_t)64 << 20, NULL), TG_OK);
    uint8_t *exact = malloc(count + 1);
    memcpy(exact, data, count);
    struct tg_manifest read;
    const tg_status status = tg_manifest_decode(exact, count, "MANIFEST-7", &arena, &read, err);
    free(exact);
    if (status == TG_OK) { cr_assert(manifest_equal(&read, wanted), "seed %" PRIu64, seed); }
    tg_arena_close(&arena);
    return status;
}

static void reseal(uint8_t *data, size_t count)
{
    const uint32_t crc = tg_crc32c(0, data, count - 8);
    memcpy(data + count - 8, &crc, 4);
}

Test(manifest, random_ones_come_back_equal_and_encode_to_the_same_bytes)
{
    for (uint32_t round = 0; round < 300; round++) {
        maker_close(&maker);
        maker_open(&maker, seed + round);
        const struct tg_manifest made = maker_manifest(&maker, 1 + maker_below(&maker, 1000));
        encode(&made);
        struct tg_error err = {0};
        cr_assert_eq(decode(bytes, bytes_used, &made, &err), TG_OK, "seed %" PRIu64 ": %s", seed + round, err.text);
        struct tg_manifest read;
        cr_assert_eq(tg_manifest_decode(bytes, bytes_used, "m", &maker.arena, &read, &err), TG_OK);
        uint8_t *first = malloc(bytes_used);
        memcpy(first, bytes, bytes_used);
        const size_t first_used = bytes_used;
        encode(&read);
        cr_assert(first_used == bytes_used && memcmp(first, bytes, first_used) == 0);
        free(first);
        cr_assert(manifest_equal(&made, &made));
    }
}

Test(manifest, every_byte_counts_flipped_or_cut)
{
    const struct tg_manifest made = maker_manifest(&maker, 7);
    encode(&made);
    for (size_t at = 0; at < bytes_used; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            struct tg_error err = {0};
            cr_assert_neq(decode(bytes, bytes_used, &made, &err), TG_OK, "byte %zu", at);
            cr_assert_eq(err.code, TG1512, "byte %zu: %s", at, err.text);
            cr_assert_not_null(strstr(err.text, " at byte "), "%s", err.text);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
        cr_assert_neq(decode(bytes, at, &made, NULL), TG_OK);
    }
    bytes[bytes_used] = 0;
    cr_assert_neq(decode(bytes, bytes_used + 1, &made, NULL), TG_OK);
    cr_assert_eq(decode(bytes, bytes_used, &made, NULL), TG_OK);
}

/* With the checksum made right again, a change is refused or gives a manifest that is legal and another one. */
Test(manifest, resealed_mutants_never_decode_to_the_same_and_never_to_something_illegal)
{
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < 20; round++) {
        const struct tg_manifest made = maker_manifest(&maker, 7 + round);
        encode(&made);
        uint8_t *copy = malloc(bytes_used);
        for (uint32_t i = 0; i < 600; i++) {
            memcpy(copy, bytes, bytes_used);
            for (uint32_t n = 0; n <= maker_below(&maker, 2); n++) {
                copy[maker_below(&maker, (uint32_t)bytes_used - 8)] = (uint8_t)tg_prng_next(&maker.prng);
            }
            if (memcmp(copy, bytes, bytes_used) == 0) { continue; }
            reseal(copy, bytes_used);
            struct tg_arena arena;
            cr_assert_eq(tg_arena_open(&arena, (size_t)64 << 20, NULL), TG_OK);
            struct tg_manifest read;
            struct tg_error err = {0};
            if (tg_manifest_decode(copy, bytes_used, "m", &arena, &read, &err) == TG_OK) {
                accepted++;
                cr_assert_null(tg_manifest_flaw(&read));
                cr_assert_not(manifest_equal(&read, &made), "seed %" PRIu64, seed);
            } else {
                cr_assert(err.code == TG1512 || (err.code == TG1513 && (copy[8] != bytes[8] || copy[9] != bytes[9])));
            }
            tg_arena_close(&arena);
        }
        free(copy);
    }
    cr_assert_gt(accepted, 100); /* offsets and counters are free to be anything */
}

Test(manifest, ten_thousand_mutants_are_refused)
{
    const struct tg_manifest made = maker_manifest(&maker, 7);
    encode(&made);
    uint8_t *copy = malloc(2 * bytes_used);
    for (uint32_t i = 0; i < 10000; i++) {
        memcpy(copy, bytes, bytes_used);
        size_t used = bytes_used;
        const uint32_t at = maker_below(&maker, (uint32_t)used);
        const uint32_t length = 1 + maker_below(&maker, (uint32_t)(used - at));
        switch (i % 5) {
        case 0: copy[at] ^= (uint8_t)(1u << maker_below(&maker, 8)); break;
        case 1: used = at; break;
        case 2: memset(copy + at, (int)maker_below(&maker, 256), length); break;
        case 3:
            memmove(copy + at, copy + at + length, used - at - length);
            used -= length;
            break;
        default:
            memset(copy + used, (int)maker_below(&maker, 256), length);
            used += length;
            break;
        }
        if (used == bytes_used && memcmp(copy, bytes, used) == 0) { continue; }
        cr_assert_neq(decode(copy, used, &made, NULL), TG_OK, "seed %" PRIu64 " mutant %" PRIu32, seed, i);
    }
    free(copy);
}

Test(manifest, a_newer_format_is_said_to_be_newer)
{
    const struct tg_manifest made = maker_manifest(&maker, 7);
    encode(&made);
    struct tg_error err = {0};
    bytes[8] = TG_MANIFEST_FORMAT + 1;
    reseal(bytes, bytes_used);
    cr_assert_eq(decode(bytes, bytes_used, &made, &err), TG_ERR_CONFIG);
    cr_assert_eq(err.code, TG1513);
    bytes[8] = 0;
    reseal(bytes, bytes_used);
    err = (struct tg_error){0};
    cr_assert_eq(decode(bytes, bytes_used, &made, &err), TG_ERR_DATA);
}

Test(manifest, an_arena_too_small_is_not_called_damage)
{
    struct tg_manifest made = maker_manifest(&maker, 7);
    while (made.step_count == 0 || made.steps[0].layout == NULL) { made = maker_manifest(&maker, 7); }
    encode(&made);
    struct tg_arena arena;
    cr_assert_eq(tg_arena_open(&arena, 1 << 20, NULL), TG_OK);
    for (size_t room = 0;; room += 8) {
        struct tg_arena part = {.base = arena.base, .reserved_bytes = room};
        struct tg_manifest read;
        struct tg_error err = {0};
        memset(arena.base, 0, room);
        if (tg_manifest_decode(bytes, bytes_used, "m", &part, &read, &err) == TG_OK) { break; }
        cr_assert_eq(err.code, TG1601, "%s", err.text);
    }
    tg_arena_close(&arena);
}

Test(manifest, one_too_long_for_its_memory_is_an_error)
{
    const struct tg_manifest made = maker_manifest(&maker, 7);
    encode(&made);
    for (size_t room = 0; room < bytes_used; room++) {
        struct tg_bytes_out out = {.data = bytes, .capacity = room};
        struct tg_error err = {0};
        cr_assert_eq(tg_manifest_encode(&made, &out, &err), TG_ERR_IO);
        cr_assert_eq(err.code, TG1510);
    }
}

/* ---- legality ---------------------------------------------------------------------------------------------------- */

static struct tg_manifest m;
static struct tg_manifest_partition partitions[2];
static struct tg_manifest_source sources[2];
static struct tg_manifest_step steps[2];
static struct tg_manifest_file files[5];
static struct tg_manifest_sink sinks[2];
static struct tg_committable committables[2];
static struct tg_state_layout layout;
static struct tg_state_field field;
static int64_t clocks[4];
static struct tg_tally tallies[2];

static void legal(void)
{
    field = (struct tg_state_field){.name = "f", .kind = TG_STATE_BIGINT};
    layout = (struct tg_state_layout){.owner_kind = TG_STATE_OF_STEP,
                                      .owner = "a",
                                      .name = "s",
                                      .key_count = 1,
                                      .keys = &field,
                                      .field_count = 1,
                                      .fields = &field};
    partitions[0] = partitions[1] = (struct tg_manifest_partition){.next_offset = -1};
    sources[0] = (struct tg_manifest_source){
        .name = "x", .connector = "kafka", .cluster = "", .topic = "t", .partition_count = 2, .partitions = partitions};
    sources[1] = sources[0];
    sources[1].name = "y";
    sources[1].partition_count = 1;
    steps[0] =
        (struct tg_manifest_step){.name = "a", .op = "op", .layout = &layout, .clock_count = 4, .clocks = clocks};
    steps[0].from_source = true;
    steps[0].tally_first = 1;
    steps[0].tally_count = 2;
    steps[0].tallies = tallies;
    steps[1] = (struct tg_manifest_step){.name = "b", .op = "op"};
    for (uint32_t i = 0; i < 5; i++) {
        files[i] = (struct tg_manifest_file){.shard = i / 3,
                                             .kind = i % 3 == 0 ? TG_STATE_BASE : TG_STATE_DELTA,
                                             .epoch = 5 + i % 3 + i / 3,
                                             .bytes = 1000};
    }
    committables[0] = committables[1] = (struct tg_committable){.bytes = 0};
    sinks[0] = (struct tg_manifest_sink){
        .name = "p", .connector = "file", .committable_count = 2, .committables = committables};
    sinks[1] = (struct tg_manifest_sink){.name = "q", .connector = "file"};
    m = (struct tg_manifest){.job = "job",
                             .epoch = 7,
                             .key_group_count = TG_KEY_GROUP_COUNT,
                             .shard_count = 2,
                             .source_count = 2,
                             .step_count = 2,
                             .file_count = 5,
                             .sink_count = 2,
                             .sources = sources,
                             .steps = steps,
                             .files = files,
                             .sinks = sinks};
}

static void illegal(const char *why)
{
    const char *flaw = tg_manifest_flaw(&m);
    cr_assert(flaw != NULL && strcmp(flaw, why) == 0, "%s, not %s", flaw, why);
    legal();
    cr_assert_null(tg_manifest_flaw(&m));
}

Test(manifest, everything_illegal_is_named)
{
    char longest[TG_MANIFEST_TOPIC_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    legal();
    cr_assert_null(tg_manifest_flaw(&m));
    m.epoch = 0, illegal("epoch 0");
    m.job = "", illegal("text too short");
    m.key_group_count = 512, illegal("another number of key groups");
    m.shard_count = 0, illegal("wrong number of shards");
    m.shard_count = TG_SHARDS_MAX + 1, illegal("wrong number of shards");
    m.source_count = TG_SOURCES_MAX + 1, illegal("too many sources");
    sources[1].name = "x", illegal("two sources of one name");
    sources[1].name = "", illegal("text too short");
    sources[1].connector = "", illegal("text too short");
    sources[1].cluster = "\n", illegal("control character in a text");
    sources[1].topic = longest, illegal("text too long");
    sources[1].partition_count = 0, illegal("wrong number of partitions");
    sources[1].partition_count = TG_PARTITIONS_MAX + 1, illegal("wrong number of partitions");
    partitions[1].next_offset = -2, illegal("negative offset");
    partitions[1].flags = 16, illegal("unknown flags of a partition");
    m.step_count = TG_STEPS_MAX + 1, illegal("too many steps");
    steps[1].name = "a", illegal("two steps of one name");
    steps[1].name = "", illegal("text too short");
    steps[1].op = "", illegal("text too short");
    steps[0].clock_count = 3, illegal("wrong number of clocks");
    steps[0].tally_count = 4, illegal("tallies of unknown partitions");
    steps[0].tally_first = 3, illegal("tallies of unknown partitions");
    steps[0].tally_first = UINT32_MAX, illegal("tallies of unknown partitions");
    layout.field_count = 0, illegal("illegal layout of a state");
    layout.owner = "b", illegal("layout of another step");
    layout.owner_kind = TG_STATE_OF_SOURCE, illegal("layout of another step");
    m.sink_count = TG_MANIFEST_SINKS_MAX + 1, illegal("too many sinks");
    sinks[1].name = "p", illegal("two sinks of one name");
    sinks[1].name = "", illegal("text too short");
    sinks[1].connector = "", illegal("text too short");
    sinks[0].committable_count = 1, illegal("wrong number of committables");
    committables[1].bytes = TG_COMMITTABLE_BYTES_MAX + 1, illegal("committable too long");
}

Test(manifest, chains_are_a_base_and_ascending_deltas_up_to_this_epoch)
{
    legal();
    files[0].kind = TG_STATE_DELTA, illegal("a chain is a base and deltas");
    files[1].kind = TG_STATE_BASE, illegal("a chain is a base and deltas");
    files[1].kind = (enum tg_state_file_kind)3, illegal("a chain is a base and deltas");
    files[1].epoch = 5, illegal("epochs of a chain do not ascend");
    files[0].epoch = 0, illegal("epochs of a chain do not ascend");
    files[2].epoch = 8, illegal("a chain does not end with this epoch");
    files[0].bytes = 10, illegal("wrong length of a state file");
    files[0].bytes = UINT64_MAX, illegal("wrong length of a state file");
    m.file_count = 3, illegal("a shard without state file");
    m.file_count = 2, illegal("a chain does not end with this epoch");
    m.shard_count = 1, sinks[0].committable_count = 0, illegal("state file of an unknown shard");
    static struct tg_manifest_file many[TG_MANIFEST_CHAIN_MAX + 1];
    for (uint32_t i = 0; i <= TG_MANIFEST_CHAIN_MAX; i++) {
        many[i] =
            (struct tg_manifest_file){.kind = i == 0 ? TG_STATE_BASE : TG_STATE_DELTA, .epoch = i + 1, .bytes = 1000};
    }
    m.shard_count = 1;
    m.files = many;
    m.file_count = TG_MANIFEST_CHAIN_MAX + 1;
    illegal("chain too long");
}

static struct tg_manifest other;
static struct tg_manifest_partition other_partitions[2];
static struct tg_manifest_source other_sources[2];
static struct tg_manifest_step other_steps[2];
static struct tg_manifest_file other_files[5];
static struct tg_manifest_sink other_sinks[2];
static struct tg_committable other_committables[2];

/* `other` equals m and shares nothing that the differences touch. */
static void make_other(void)
{
    other = m;
    memcpy(other_partitions, partitions, sizeof partitions);
    memcpy(other_sources, sources, sizeof sources);
    memcpy(other_steps, steps, sizeof steps);
    memcpy(other_files, files, sizeof files);
    memcpy(other_sinks, sinks, sizeof sinks);
    memcpy(other_committables, committables, sizeof committables);
    other_sources[0].partitions = other_partitions;
    other_sinks[0].committables = other_committables;
    other.sources = other_sources;
    other.steps = other_steps;
    other.files = other_files;
    other.sinks = other_sinks;
}

/* Make difference number `i`; false when there are no more. */
static bool differ_in_head_or_source(uint32_t i)
{
    struct tg_manifest_partition *p = &other_partitions[1];
    switch (i) {
    case 0: other.job = "x"; break;
    case 1: other.run_id.bytes[15] = 1; break;
    case 2: other.epoch++; break;
    case 3: other.created_us++; break;
    case 4: other.version_base++; break;
    case 5: other.graph_hash++; break;
    case 6: other.hash_seed++; break;
    case 7: other.key_group_count++; break;
    case 8: other.shard_count++; break;
    case 9: other.source_count--; break;
    case 10: other.step_count--; break;
    case 11: other.file_count--; break;
    case 12: other.sink_count--; break;
    case 13: other_sources[1].name = "z"; break;
    case 14: other_sources[1].connector = "z"; break;
    case 15: other_sources[1].cluster = "z"; break;
    case 16: other_sources[1].topic = "z"; break;
    case 17: other_sources[0].partition_count = 1; break;
    case 18: p->next_offset++; break;
    case 19: p->max_ts++; break;
    case 20: p->wm++; break;
    case 21: p->flags++; break;
    case 22: p->quiet_ns++; break;
    case 23: p->idle_base_wm++; break;
    case 24: p->idle_base_ns++; break;
    case 25: p->records++; break;
    case 26: p->dead++; break;
    case 27: p->late++; break;
    case 28: p->duplicates++; break;
    case 29: other.generation++; break;
    case 30: other.job_clock_base++; break;
    case 31: p->accepted++; break;
    case 32: p->late_in_part++; break;
    default: return false;
    }
    return true;
}
static bool differ_in_step_file_or_sink(uint32_t i)
{
    static const int64_t other_clocks[4] = {0, 0, 1};
    static const struct tg_tally other_tallies[2] = {{0}, {.squares = 1}};
    switch (i) {
    case 0: other_steps[1].name = "z"; break;
    case 1: other_steps[1].op = "z"; break;
    case 2: other_steps[0].layout = NULL; break;
    case 3: other_steps[1].layout = &layout; break;
    case 4: other_steps[0].clock_count = 3; break;
    case 5: other_steps[0].clocks = other_clocks; break;
    case 6: other_files[4].shard = 0; break;
    case 7: other_files[4].kind = TG_STATE_BASE; break;
    case 8: other_files[4].epoch++; break;
    case 9: other_files[4].bytes++; break;
    case 10: other_files[4].crc++; break;
    case 11: other_sinks[1].name = "z"; break;
    case 12: other_sinks[1].connector = "z"; break;
    case 13: other_sinks[0].committable_count = 1; break;
    case 15: other_steps[0].from_source = false; break;
    case 16: other_steps[0].tally_first = 0; break;
    case 17: other_steps[0].tally_count = 1; break;
    case 18: other_steps[0].tallies = other_tallies; break;
    case 14: other_committables[1] = (struct tg_committable){.data = (const uint8_t *)"a", .bytes = 1}; break;
    default: return false;
    }
    return true;
}

Test(manifest, any_difference_is_one)
{
    bool (*const differ[])(uint32_t) = {differ_in_head_or_source, differ_in_step_file_or_sink};
    uint32_t count = 0;
    legal();
    for (uint32_t kind = 0; kind < 2; kind++) {
        make_other();
        cr_assert(manifest_equal(&m, &other));
        for (uint32_t i = 0; differ[kind](i); i++) {
            cr_assert_not(manifest_equal(&m, &other), "%" PRIu32, i);
            cr_assert_not(manifest_equal(&other, &m), "%" PRIu32, i);
            make_other();
            count++;
        }
    }
    cr_assert_eq(count, 52);
}

Test(manifest, equal_lengths_of_other_bytes_are_other_committables)
{
    legal();
    committables[0] = (struct tg_committable){.data = (const uint8_t *)"a", .bytes = 1};
    const struct tg_committable other_list[2] = {{.data = (const uint8_t *)"b", .bytes = 1}, {.bytes = 0}};
    make_other();
    other_sinks[0].committables = other_list;
    cr_assert_not(manifest_equal(&m, &other));
    struct tg_state_layout other_layout = layout;
    other_layout.version++;
    make_other();
    other_steps[0].layout = &other_layout;
    cr_assert_not(manifest_equal(&m, &other));
}

Test(manifest, a_sink_is_known_by_its_name_and_its_connector)
{
    legal();
    cr_assert_eq(tg_manifest_sink_find(&m, "q", "file"), &sinks[1]);
    cr_assert_null(tg_manifest_sink_find(&m, "q", "sqlite"));
    cr_assert_null(tg_manifest_sink_find(&m, "r", "file"));
    m.sink_count = 0;
    cr_assert_null(tg_manifest_sink_find(&m, "q", "file"));
}

Test(manifest, a_job_may_have_no_side_outputs)
{
    static struct tg_job job;
    static struct tg_recovery_sink out[TG_MANIFEST_SINKS_MAX];
    cr_assert_eq(tg_job_sinks(&job, out), 0);
}

Test(manifest, questions)
{
    legal();
    cr_assert_not(tg_manifest_commits(&m));
    committables[1].bytes = 1;
    cr_assert(tg_manifest_commits(&m));
    uint32_t count;
    cr_assert_eq(tg_manifest_chain(&m, 0, &count), 0);
    cr_assert_eq(count, 3);
    cr_assert_eq(tg_manifest_chain(&m, 1, &count), 3);
    cr_assert_eq(count, 2);
}
