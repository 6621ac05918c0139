/* Frames: golden checksums from an independent client, every split, every corrupt byte, envelopes over many frames. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "io/cassandra/codec.h"
#include "io/cassandra/frame.h"
#include "tests/seed.h"
#include "tests/unit/io/cql_bytes.h"

Test(cql_frame, checksums_agree_with_the_python_driver)
{
    static const struct {
        uint32_t header, crc;
    } headers[] = {{0x00000, 0x7de777}, {0x00001, 0x15876f}, {0x20000, 0xc4366a}, {0x20005, 0x9a9919},
                   {0x1ffff, 0xfe9138}, {0x3ffff, 0x474025}, {0xabcde, 0xad73e0}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        cr_assert_eq(tg_cql_crc24(headers[i].header), headers[i].crc, "%x", headers[i].header);
    }
    uint8_t all[256];
    for (uint32_t i = 0; i < 256; i++) { all[i] = (uint8_t)i; }
    cr_assert_eq(tg_cql_crc32((const uint8_t *)"a", 1), 0xf7294a53);
    cr_assert_eq(tg_cql_crc32((const uint8_t *)"hello world", 11), 0x4a62481f);
    cr_assert_eq(tg_cql_crc32(all, 256), 0x214de79b);
}

struct bench {
    struct tg_arena arena;
    struct tg_cql_decoder decoder;
};

static void bench_open(struct bench *bench, bool framed)
{
    struct tg_error err = {0};
    cr_assert_eq(tg_arena_open(&bench->arena, 16 << 20, &err), TG_OK);
    cr_assert_eq(tg_cql_decoder_init(&bench->decoder, &bench->arena, &err), TG_OK);
    if (framed) { tg_cql_decoder_start_frames(&bench->decoder); }
}

/* What a node would send: our own output with the response bit. */
static uint32_t respond(struct tg_cql_output *output, int16_t stream, uint32_t body_bytes, uint8_t fill)
{
    uint8_t *body = tg_cql_output_begin(output, 0x85, stream, TG_CQL_RESULT, body_bytes);
    cr_assert_not_null(body);
    for (uint32_t i = 0; i < body_bytes; i++) { body[i] = (uint8_t)(fill + i * 7); }
    tg_cql_output_end(output);
    return output->used;
}

static void expect_body(const struct tg_cql_envelope *envelope, int16_t stream, uint32_t bytes, uint8_t fill)
{
    cr_assert_eq(envelope->stream, stream);
    cr_assert_eq(envelope->opcode, TG_CQL_RESULT);
    cr_assert_eq(envelope->version, 5);
    cr_assert_eq(envelope->bytes, bytes);
    for (uint32_t i = 0; i < bytes; i++) { cr_assert_eq(envelope->body[i], (uint8_t)(fill + i * 7)); }
}

/* Feed data[from, to) in pieces that fit; collect envelopes until MORE. Returns false on CORRUPT. */
static bool feed(struct tg_cql_decoder *decoder, const uint8_t *data, uint32_t bytes, struct tg_cql_envelope *last,
                 uint32_t *count)
{
    for (uint32_t at = 0; at < bytes;) {
        uint32_t room = 0;
        uint8_t *space = tg_cql_decoder_space(decoder, &room);
        cr_assert_gt(room, 0);
        const uint32_t piece = bytes - at < room ? bytes - at : room;
        memcpy(space, data + at, piece);
        tg_cql_decoder_received(decoder, piece);
        at += piece;
        enum tg_cql_decoded decoded;
        struct tg_cql_envelope envelope;
        while ((decoded = tg_cql_decoder_next(decoder, &envelope)) == TG_CQL_ENVELOPE) {
            *last = envelope;
            ++*count;
        }
        if (decoded == TG_CQL_CORRUPT) { return false; }
    }
    return true;
}

static void every_split(bool framed)
{
    struct bench bench;
    bench_open(&bench, framed);
    uint8_t data[1024];
    struct tg_cql_output output = {.data = data, .capacity = sizeof data, .framed = framed};
    (void)respond(&output, 7, 40, 1);
    (void)respond(&output, 8, 0, 2);
    tg_cql_output_seal(&output);
    (void)respond(&output, 9, 25, 3);
    tg_cql_output_seal(&output);
    for (uint32_t split = 0; split <= output.used; split++) {
        struct tg_cql_envelope last;
        uint32_t count = 0;
        tg_cql_decoder_reset(&bench.decoder);
        if (framed) { tg_cql_decoder_start_frames(&bench.decoder); }
        cr_assert(feed(&bench.decoder, data, split, &last, &count), "split %u", split);
        cr_assert(feed(&bench.decoder, data + split, output.used - split, &last, &count), "split %u", split);
        cr_assert_eq(count, 3, "split %u", split);
        expect_body(&last, 9, 25, 3);
    }
    tg_arena_close(&bench.arena);
}

Test(cql_frame, every_split_of_framed_bytes_gives_the_same_envelopes) { every_split(true); }
Test(cql_frame, every_split_of_bare_envelopes_gives_the_same_envelopes) { every_split(false); }

Test(cql_frame, any_flipped_bit_of_a_frame_is_noticed)
{
    struct bench bench;
    bench_open(&bench, true);
    uint8_t data[256];
    struct tg_cql_output output = {.data = data, .capacity = sizeof data, .framed = true};
    (void)respond(&output, 7, 40, 1);
    tg_cql_output_seal(&output);
    for (uint32_t bit = 0; bit < output.used * 8; bit++) {
        struct tg_cql_envelope last;
        uint32_t count = 0;
        tg_cql_decoder_reset(&bench.decoder);
        tg_cql_decoder_start_frames(&bench.decoder);
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_not(feed(&bench.decoder, data, output.used, &last, &count), "bit %u", bit);
        cr_assert_eq(count, 0, "bit %u", bit);
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_eq(tg_cql_decoder_next(&bench.decoder, &last), TG_CQL_CORRUPT, "for ever");
    }
    tg_arena_close(&bench.arena);
}

static void sizes_around_the_limits(bool framed)
{
    static const uint32_t sizes[] = {0,      1,      131061, 131062, 131063, 131071, 131072, 262133,
                                     262134, 262143, 300000, 1000000, TG_CQL_ENVELOPE_BYTES_MAX - 9};
    enum { CAPACITY = 24 << 20 };
    struct bench bench;
    bench_open(&bench, framed);
    uint8_t *data = malloc(CAPACITY);
    struct tg_prng prng = {tg_test_seed()};
    struct tg_cql_output output = {.data = data, .capacity = CAPACITY, .framed = framed};
    const uint32_t count = sizeof sizes / sizeof sizes[0];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t before = output.used;
        (void)respond(&output, (int16_t)i, sizes[i], (uint8_t)i);
        cr_assert_leq(output.used - before, tg_cql_output_need(sizes[i]));
        if (tg_prng_below(&prng, 2) == 0) { tg_cql_output_seal(&output); }
    }
    tg_cql_output_seal(&output);
    uint32_t seen = 0;
    for (uint32_t at = 0; at < output.used;) {
        uint32_t room = 0;
        uint8_t *space = tg_cql_decoder_space(&bench.decoder, &room);
        cr_assert_gt(room, 0);
        uint32_t piece = 1 + tg_prng_below(&prng, 70000);
        piece = piece > room ? room : piece;
        piece = piece > output.used - at ? output.used - at : piece;
        memcpy(space, data + at, piece);
        tg_cql_decoder_received(&bench.decoder, piece);
        at += piece;
        struct tg_cql_envelope envelope;
        enum tg_cql_decoded decoded;
        while ((decoded = tg_cql_decoder_next(&bench.decoder, &envelope)) == TG_CQL_ENVELOPE) {
            expect_body(&envelope, (int16_t)seen, sizes[seen], (uint8_t)seen);
            seen++;
        }
        cr_assert_eq(decoded, TG_CQL_MORE);
    }
    cr_assert_eq(seen, count);
    free(data);
    tg_arena_close(&bench.arena);
}

Test(cql_frame, the_python_drivers_frame_is_ours)
{
    uint8_t golden[64];
    uint8_t data[64];
    const uint32_t bytes = from_hex("090002a4c8c1" "850000070200000000" "f76a5884", golden);
    struct tg_cql_output output = {.data = data, .capacity = sizeof data, .framed = true};
    cr_assert_not_null(tg_cql_output_begin(&output, 0x85, 7, TG_CQL_READY, 0));
    tg_cql_output_end(&output);
    tg_cql_output_seal(&output);
    cr_assert_eq(output.used, bytes);
    cr_assert_arr_eq(data, golden, bytes);
}

Test(cql_frame, large_envelopes_cross_frames_unharmed) { sizes_around_the_limits(true); }
Test(cql_frame, large_bare_envelopes_are_gathered) { sizes_around_the_limits(false); }

Test(cql_frame, impossible_lengths_are_refused_before_memory_is)
{
    static const char *const bad[] = {
        "8500000008ffffffff", /* longer than 2 GiB */
        "850000000800200000", /* one byte too many */
        "050000000800000000", /* a request */
        "850100000800000000", /* compressed */
        "85080000080000000100", /* warnings cut off */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bench bench;
        bench_open(&bench, false);
        uint8_t data[64];
        const uint32_t bytes = from_hex(bad[i], data);
        struct tg_cql_envelope last;
        uint32_t count = 0;
        cr_assert_not(feed(&bench.decoder, data, bytes, &last, &count), "%s", bad[i]);
        tg_arena_close(&bench.arena);
    }
}

Test(cql_frame, warnings_tracing_and_payload_are_cut_off_the_body)
{
    struct bench bench;
    bench_open(&bench, false);
    uint8_t data[128];
    /* flags 0x0e; tracing id, warnings ["hi"], payload {"k": null}, then body ab cd */
    const uint32_t bytes = from_hex("850e0005080000002100112233445566778899aabbccddeeff"
                                    "000100026869"
                                    "000100016bffffffff"
                                    "abcd",
                                    data);
    struct tg_cql_envelope last = {0};
    uint32_t count = 0;
    cr_assert(feed(&bench.decoder, data, bytes, &last, &count));
    cr_assert_eq(count, 1);
    cr_assert_eq(last.bytes, 2);
    cr_assert_eq(last.body[0], 0xab);
    tg_arena_close(&bench.arena);
}
