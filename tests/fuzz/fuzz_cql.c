/* Whatever a node sends: frames and envelopes in random pieces, then every reader of answers. The first byte says
 * whether frames are expected and how the input is cut; checksums are made right so that the fuzzer gets past them. */
#include <stdlib.h>

#include "io/cassandra/connection.h"
#include "io/cassandra/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct tg_arena arena;
static struct tg_cql_decoder decoder;
static struct tg_cql_statement prepared;
static struct tg_schema schema = {
    .name = "t",
    .column_count = 3,
    .columns = {{.name = "k", .type = TG_TYPE_TEXT},
                {.name = "n", .type = TG_TYPE_INTEGER},
                {.name = "t", .type = TG_TYPE_TIMESTAMP}},
};

static void open_once(void)
{
    static const uint32_t key[] = {0};
    const struct tg_cql_target target = {"ks", "t"};
    const struct tg_cql_statement_config config = {&target, &schema, key, 1};
    if (arena.base != NULL) { return; }
    tg_schema_layout(&schema);
    if (tg_arena_open(&arena, 16 << 20, NULL) != TG_OK || tg_cql_decoder_init(&decoder, &arena, NULL) != TG_OK ||
        tg_cql_statement_init(&prepared, &config, &arena, NULL) != TG_OK) {
        abort();
    }
}

static void read_rows(const struct tg_cql_envelope *envelope)
{
    for (uint32_t columns = 1; columns <= 5; columns++) {
        struct tg_cql_rows rows;
        if (!tg_cql_rows_open(&rows, envelope, columns)) { continue; }
        while (tg_cql_rows_next(&rows)) {
            for (uint32_t i = 0; i < columns; i++) {
                struct tg_cql_reader reader = {.data = rows.cells[i].data, .bytes = rows.cells[i].bytes};
                uint32_t left = UINT32_MAX;
                struct tg_cql_view element;
                char text[64];
                while (tg_cql_elements_next(&reader, i % 2 == 1, &left, &element)) {
                    tg_cql_view_copy(element, text, sizeof text);
                }
            }
        }
    }
}

static void read_answer(const struct tg_cql_envelope *envelope)
{
    /* The body lies inside the decoder's memory: copy it, so that ASan sees a step beyond its end. */
    uint8_t *copy = malloc(envelope->bytes + 1);
    if (envelope->bytes > 0) { memcpy(copy, envelope->body, envelope->bytes); }
    uint8_t *exact = realloc(copy, envelope->bytes == 0 ? 1 : envelope->bytes);
    const struct tg_cql_envelope whole = {.version = envelope->version, .opcode = envelope->opcode, .body = exact,
                                          .bytes = envelope->bytes};
    char text[256];
    struct tg_error err = {0};
    struct tg_cql_reader reader = {.data = exact, .bytes = envelope->bytes};
    (void)tg_cql_error_read(&whole, text, sizeof text);
    prepared.bound = false;
    (void)!tg_cql_statement_bind(&prepared, &reader, &err);
    read_rows(&whole);
    free(exact);
}

/* Give every frame that starts in data a good header and payload checksum. */
static void repair(uint8_t *data, size_t bytes)
{
    for (size_t at = 0; bytes - at >= 10;) {
        const uint32_t header = ((uint32_t)data[at] | (uint32_t)data[at + 1] << 8 | (uint32_t)data[at + 2] << 16) &
                                0x3ffff;
        const uint32_t payload = header & TG_CQL_FRAME_PAYLOAD_MAX;
        if (payload + 10 > bytes - at) { return; }
        data[at + 2] &= 3;
        const uint32_t crc24 = tg_cql_crc24(header);
        const uint32_t crc32 = tg_cql_crc32(data + at + 6, payload);
        for (uint32_t i = 0; i < 3; i++) { data[at + 3 + i] = (uint8_t)(crc24 >> (8 * i)); }
        for (uint32_t i = 0; i < 4; i++) { data[at + 6 + payload + i] = (uint8_t)(crc32 >> (8 * i)); }
        at += payload + 10;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2 || bytes > 100000) { return 0; }
    open_once();
    const uint8_t mode = data[0];
    const uint32_t step = data[1] == 0 ? 4096 : data[1];
    uint8_t *input = malloc(bytes - 2 + 1);
    memcpy(input, data + 2, bytes - 2);
    if ((mode & 2) != 0) { repair(input, bytes - 2); }
    tg_cql_decoder_reset(&decoder);
    if ((mode & 1) != 0) { tg_cql_decoder_start_frames(&decoder); }
    for (size_t at = 0; at < bytes - 2;) {
        uint32_t room = 0;
        uint8_t *space = tg_cql_decoder_space(&decoder, &room);
        uint32_t piece = step < bytes - 2 - at ? step : (uint32_t)(bytes - 2 - at);
        piece = piece < room ? piece : room;
        if (piece == 0) { abort(); }
        memcpy(space, input + at, piece);
        tg_cql_decoder_received(&decoder, piece);
        at += piece;
        struct tg_cql_envelope envelope;
        enum tg_cql_decoded decoded;
        while ((decoded = tg_cql_decoder_next(&decoder, &envelope)) == TG_CQL_ENVELOPE) { read_answer(&envelope); }
        if (decoded == TG_CQL_CORRUPT) { break; }
    }
    free(input);
    return 0;
}
