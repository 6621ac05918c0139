/* Ticks as bytes: what is encoded is decoded, a torn end is left out, damage is told, and the bytes of format 1 stay
 * what they are (tests/data/ticks/v1.log; TURGO_WRITE_GOLDEN=folder writes today's). */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "base/types.h"
#include "engine/checkpoint/ticks.h"
#include "tests/seed.h"
#include "tests/source_path.h"

#define NOON INT64_C(1715421600000000) /* 2024-05-11T10:00:00Z */
enum { BYTES_MAX = 1 << 20, FRAMES = 3 };

static const struct tg_ticks_source sources[] = {
    {.name = "tx", .topic = "transactions", .cluster = "9vNB3TpqSzWD", .partition_count = 4},
    {.name = "clicks", .topic = "", .cluster = "", .partition_count = 4096},
};
static struct tg_arena arena;
static struct tg_error err;
static uint8_t bytes[BYTES_MAX];
static size_t bytes_used;
static size_t frame_ends[FRAMES];
static struct tg_tick written[FRAMES * 4];
static uint32_t written_count;

static struct tg_ticks_header header_of(void)
{
    struct tg_ticks_header header = {.job = "job", .graph_hash = 0xABCDEF, .source_count = 2, .sources = sources};
    memset(header.run_id.bytes, 0x5A, sizeof header.run_id.bytes);
    return header;
}

/* A log of three frames with 1, 2 and 3 ticks. */
static void encode(void)
{
    struct tg_bytes_out out = {.data = bytes, .capacity = sizeof bytes};
    struct tg_ticks_header header = header_of();
    cr_assert(tg_ticks_header_encode(&header, &out));
    written_count = 0;
    for (uint32_t f = 0; f < FRAMES; f++) {
        for (uint32_t i = 0; i <= f; i++) {
            written[written_count + i] = (struct tg_tick){.source = i & 1,
                                                          .partition = i,
                                                          .offset = (int64_t)f * 100 - 1,
                                                          .wm = NOON + f * 1000003,
                                                          .wall_us = NOON + f * 1000000};
        }
        tg_ticks_frame_encode(header.tag, f, &written[written_count], f + 1, &out);
        written_count += f + 1;
        frame_ends[f] = out.used;
    }
    cr_assert_not(out.overflow);
    bytes_used = out.used;
}

static void begin(void)
{
    cr_assert_eq(tg_arena_open(&arena, (size_t)64 << 20, NULL), TG_OK);
    encode();
}
static void end(void) { tg_arena_close(&arena); }
TestSuite(ticks, .init = begin, .fini = end, .timeout = 120);

/* Decode data[count] from memory of exactly that size. */
static tg_status decode(const uint8_t *data, size_t count, struct tg_ticks *out)
{
    uint8_t *exact = malloc(count + 1);
    memcpy(exact, data, count);
    err = (struct tg_error){0};
    tg_arena_close(&arena);
    cr_assert_eq(tg_arena_open(&arena, (size_t)64 << 20, NULL), TG_OK);
    const tg_status status = tg_ticks_decode(exact, count, "ticks.log", &arena, out, &err);
    free(exact);
    return status;
}

static void assert_first(const struct tg_ticks *ticks, uint32_t frames)
{
    cr_assert_eq(ticks->frames, frames);
    cr_assert_eq(ticks->count, frames * (frames + 1) / 2);
    for (uint32_t i = 0; i < ticks->count; i++) {
        cr_assert_eq(ticks->list[i].source, written[i].source);
        cr_assert_eq(ticks->list[i].partition, written[i].partition);
        cr_assert_eq(ticks->list[i].offset, written[i].offset);
        cr_assert_eq(ticks->list[i].wm, written[i].wm);
        cr_assert_eq(ticks->list[i].wall_us, written[i].wall_us);
    }
}

Test(ticks, what_is_encoded_is_decoded)
{
    struct tg_ticks ticks;
    const struct tg_ticks_header header = header_of();
    cr_assert_eq(decode(bytes, bytes_used, &ticks), TG_OK, "%s", err.text);
    assert_first(&ticks, FRAMES);
    cr_assert_eq(ticks.bytes, bytes_used);
    cr_assert(tg_ticks_same_job(&ticks.header, &header) && tg_ticks_same_logs(&ticks.header, &header));
    cr_assert_eq(memcmp(&ticks.header.run_id, &header.run_id, sizeof header.run_id), 0);
}

Test(ticks, a_log_cut_anywhere_holds_the_frames_that_are_whole)
{
    for (size_t cut = 0; cut < bytes_used; cut++) {
        struct tg_ticks ticks;
        const tg_status status = decode(bytes, cut, &ticks);
        const size_t header_bytes = frame_ends[0] - TG_TICKS_FRAME_HEAD_BYTES - TG_TICK_BYTES;
        if (cut < header_bytes) { /* it was durable before the log had its name */
            cr_assert_eq(err.code, TG1512, "cut at %zu", cut);
            continue;
        }
        cr_assert_eq(status, TG_OK, "cut at %zu: %s", cut, err.text);
        uint32_t whole = 0;
        while (whole < FRAMES && frame_ends[whole] <= cut) { whole++; }
        assert_first(&ticks, whole);
        cr_assert_eq(ticks.bytes, whole == 0 ? header_bytes : frame_ends[whole - 1]);
    }
}

Test(ticks, a_flipped_bit_is_damage_unless_it_may_be_a_torn_end)
{
    for (size_t at = 0; at < bytes_used; at++) {
        struct tg_ticks ticks;
        bytes[at] ^= 0x10;
        const tg_status status = decode(bytes, bytes_used, &ticks);
        bytes[at] ^= 0x10;
        if (at < frame_ends[FRAMES - 2]) {
            cr_assert(err.code == TG1512 || err.code == TG1513, "byte %zu: %s", at, err.text);
        } else {
            cr_assert_eq(status, TG_OK);
            assert_first(&ticks, FRAMES - 1);
        }
    }
}

Test(ticks, sectors_of_the_last_frame_may_be_missing_in_the_middle)
{
    struct tg_ticks ticks;
    memset(bytes + frame_ends[1] + 8, 0, 40);
    cr_assert_eq(decode(bytes, bytes_used, &ticks), TG_OK, "%s", err.text);
    assert_first(&ticks, 2);
}

Test(ticks, a_broken_end_longer_than_any_frame_is_damage)
{
    struct tg_ticks ticks;
    memset(bytes + bytes_used, 0, TG_TICKS_FRAME_BYTES_MAX + 8);
    cr_assert_eq(decode(bytes, bytes_used + TG_TICKS_FRAME_BYTES_MAX, &ticks), TG_OK, "%s", err.text);
    cr_assert_neq(decode(bytes, bytes_used + TG_TICKS_FRAME_BYTES_MAX + 1, &ticks), TG_OK);
    cr_assert_eq(err.code, TG1512);
}

/* Change the last tick and make the checksum right again. */
static void spoil(size_t field, int64_t value, size_t width)
{
    encode();
    const size_t start = frame_ends[1];
    memcpy(bytes + bytes_used - TG_TICK_BYTES + field, &value, width);
    uint32_t crc = tg_crc32c(0, bytes + start, 28);
    crc = tg_crc32c(crc, bytes + start + TG_TICKS_FRAME_HEAD_BYTES, 3 * TG_TICK_BYTES);
    memcpy(bytes + start + 28, &crc, 4);
}

Test(ticks, a_tick_of_nothing_is_damage_whatever_its_checksum_says)
{
    const struct {
        size_t field;
        int64_t value;
        size_t width;
    } wrong[] = {{0, 2, 4}, {4, 4, 4}, {8, -2, 8}, {16, TG_TS_MIN, 8}, {16, TG_TS_MAX, 8}};
    struct tg_ticks ticks;
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        spoil(wrong[i].field, wrong[i].value, wrong[i].width);
        cr_assert_neq(decode(bytes, bytes_used, &ticks), TG_OK, "%u", i);
        cr_assert_eq(err.code, TG1512);
    }
    spoil(8, -1, 8);
    cr_assert_eq(decode(bytes, bytes_used, &ticks), TG_OK, "%s", err.text);
}

Test(ticks, a_newer_format_is_refused)
{
    struct tg_ticks ticks;
    uint32_t length;
    memcpy(&length, bytes + 12, 4);
    bytes[8] = TG_TICKS_FORMAT + 1;
    const uint32_t crc = tg_crc32c(0, bytes, length - 4);
    memcpy(bytes + length - 4, &crc, 4);
    cr_assert_neq(decode(bytes, bytes_used, &ticks), TG_OK);
    cr_assert_eq(err.code, TG1513, "%s", err.text);
}

Test(ticks, condensing_keeps_what_has_an_effect)
{
    const uint64_t seed = tg_test_seed();
    struct tg_prng prng = {seed};
    enum { COUNT = 200, OFFSETS = 20, PARTITIONS = 3 };
    for (uint32_t round = 0; round < 200; round++) {
        struct tg_tick list[COUNT];
        int64_t model[PARTITIONS][OFFSETS]; /* the clock that ticks make before the record at an offset */
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            for (uint32_t o = 0; o < OFFSETS; o++) { model[p][o] = TG_TS_MIN; }
        }
        const uint32_t count = 1 + tg_prng_below(&prng, COUNT);
        for (uint32_t i = 0; i < count; i++) {
            list[i] = (struct tg_tick){.partition = tg_prng_below(&prng, PARTITIONS),
                                       .offset = tg_prng_below(&prng, OFFSETS),
                                       .wm = tg_prng_below(&prng, 50)};
            for (int64_t o = list[i].offset; o < OFFSETS; o++) {
                int64_t *clock = &model[list[i].partition][o];
                *clock = list[i].wm > *clock ? list[i].wm : *clock;
            }
        }
        const uint64_t left = tg_ticks_condense(list, count);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            int64_t clock = TG_TS_MIN;
            uint64_t next = 0;
            while (next < left && list[next].partition < p) { next++; }
            for (uint32_t o = 0; o < OFFSETS; o++) {
                for (; next < left && list[next].partition == p && list[next].offset == o; next++) {
                    cr_assert_gt(list[next].wm, clock, "seed %" PRIu64 ": each one that is left does something", seed);
                    clock = list[next].wm;
                }
                cr_assert_eq(clock, model[p][o], "seed %" PRIu64 " partition %u offset %u", seed, p, o);
            }
        }
    }
    cr_assert_eq(tg_ticks_condense(NULL, 0), 0);
}

Test(ticks, format_1_reads_and_is_written_as_ever)
{
    const char *folder = getenv("TURGO_WRITE_GOLDEN");
    char path[256];
    (void)snprintf(path, sizeof path, "%s/v%d.log", folder != NULL ? folder : "", TG_TICKS_FORMAT);
    FILE *file =
        fopen(folder != NULL ? path : tg_test_source_path("tests/data/ticks/v1.log"), folder != NULL ? "wb" : "rb");
    cr_assert_not_null(file);
    if (folder != NULL) {
        cr_assert_eq(fwrite(bytes, 1, bytes_used, file), bytes_used);
    } else {
        static uint8_t golden[BYTES_MAX];
        struct tg_ticks ticks;
        const size_t count = fread(golden, 1, sizeof golden, file);
        cr_assert_eq(decode(golden, count, &ticks), TG_OK, "%s", err.text);
        assert_first(&ticks, FRAMES);
        cr_assert(count == bytes_used && memcmp(golden, bytes, count) == 0, "the format has changed");
    }
    cr_assert_eq(fclose(file), 0);
}
