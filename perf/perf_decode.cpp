// Strict decode against simdjson's DOM parse of the same documents in the same run: clicks (9 members, 7 wanted as rows
// of the analytics job) and transactions (2 members). Rounds alternate; the median of per-round ratios is the result.
// perf_decode [--smoke]
#include <simdjson.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

// C headers: a function named like a struct is plain C.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "base/prng.h"
#include "io/decode.h"
#include "io/decode_stage1.h"
}
#pragma GCC diagnostic pop

namespace {

constexpr uint32_t BATCH = 1024;
constexpr int64_t BASE_US = INT64_C(1767225600) * 1000000; // 2026-01-01T00:00:00Z

uint64_t now_ns()
{
    timespec now{};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

int stamp(char *out, int64_t us, bool micros)
{
    const time_t seconds = static_cast<time_t>(us / 1000000);
    tm parts{};
    gmtime_r(&seconds, &parts);
    const size_t used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    const int fraction = static_cast<int>(us % 1000000);
    const int digits = micros ? 6 : 3;
    return static_cast<int>(used) + snprintf(out + used, 16, ".%0*dZ", digits, micros ? fraction : fraction / 1000);
}

// The same shape and lengths as the rivals' load: 302 bytes.
int click(char *out, tg_prng *prng, uint32_t i)
{
    static const char *const categories[] = {"electronics", "books", "clothing", "home", "sports", "toys", "beauty",
        "grocery"};
    static const char *const actions[] = {"view", "click", "add_to_cart", "purchase"};
    const uint32_t product = tg_prng_below(prng, 10000);
    const unsigned long long high = tg_prng_next(prng);
    const unsigned long long low = tg_prng_next(prng);
    char time_text[40];
    stamp(time_text, BASE_US + i * INT64_C(600) + tg_prng_below(prng, 5000000), true);
    return snprintf(out, 512,
                    "{\"event_id\":\"%08llx-%04llx-%04llx-%04llx-%012llx\",\"user_id\":\"user_%08u\","
                    "\"session_id\":\"session_%07u\",\"product_id\":\"product_%05u\",\"category\":\"%s\","
                    "\"action\":\"%s\",\"page_url\":\"/products/product_%05u\","
                    "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"timestamp\":\"%s\"}",
                    high >> 32, high >> 16 & 0xFFFF, high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFF,
                    tg_prng_below(prng, 200000), tg_prng_below(prng, 1000000), product,
                    categories[product * 2654435761u >> 29], actions[tg_prng_below(prng, 4)], product, time_text);
}

int transaction(char *out, tg_prng *prng, uint32_t i)
{
    char time_text[40];
    stamp(time_text, BASE_US + i * INT64_C(600) + tg_prng_below(prng, 5000000), false);
    return snprintf(out, 512, "{\"userId\":\"u%07u\",\"transactionTimestamp\":\"%s\"}", tg_prng_below(prng, 100000),
        time_text);
}

struct workload {
    const char *name;
    int (*make)(char *out, tg_prng *prng, uint32_t i);
    std::vector<const char *> columns; // the last one is the timestamp
    std::vector<const char *> members;
};

struct input {
    std::vector<uint8_t> data;
    std::vector<uint8_t> scratch;
    std::vector<tg_slice> slices;
    std::vector<tg_raw_batch> batches; // the same slices as the decoder gets them
    tg_buffer buffer{};
};

// Records with the bytes a Kafka batch has between them, so that nothing profits from them being adjacent.
void input_fill(input *in, const workload &load, uint32_t count)
{
    in->data.resize(static_cast<size_t>(count) * 400 + TG_BUFFER_PADDING);
    in->scratch.resize(in->data.size());
    tg_prng prng = {42};
    uint8_t *at = in->data.data();
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t gap = 0; gap < 12; gap++) { *at++ = static_cast<uint8_t>(tg_prng_next(&prng)); }
        tg_slice slice{};
        slice.value = at;
        slice.offset = i;
        slice.value_bytes = static_cast<uint32_t>(load.make(reinterpret_cast<char *>(at), &prng, i));
        at += slice.value_bytes;
        in->slices.push_back(slice);
    }
    for (uint32_t i = 0; i < count; i += BATCH) {
        tg_raw_batch raw{};
        raw.count = std::min(BATCH, count - i);
        raw.buffer = &in->buffer;
        std::copy_n(in->slices.begin() + i, raw.count, raw.slices);
        in->batches.push_back(raw);
    }
    in->buffer.data = in->data.data();
    in->buffer.scratch = in->scratch.data();
    in->buffer.capacity = static_cast<uint32_t>(in->data.size() - TG_BUFFER_PADDING);
}

struct output {
    tg_decoder *decoder = nullptr;
    tg_schema schema{};
    std::vector<tg_field_spec> specs;
    std::vector<uint8_t> rows;
    std::vector<tg_decoded> results;
};

void output_open(output *out, const workload &load)
{
    out->schema.column_count = static_cast<uint32_t>(load.columns.size());
    out->specs.resize(load.columns.size());
    for (size_t i = 0; i < load.columns.size(); i++) {
        out->schema.columns[i].name = load.columns[i];
        out->schema.columns[i].type = i + 1 == load.columns.size() ? TG_TYPE_TIMESTAMP : TG_TYPE_TEXT;
        out->specs[i].names = &load.members[i];
        out->specs[i].name_count = 1;
        out->specs[i].required = true;
    }
    tg_schema_layout(&out->schema);
    tg_decoder_config config{};
    config.schema = &out->schema;
    config.fields = out->specs.data();
    tg_error err{};
    if (tg_decoder_create(&out->decoder, &config, &err) != TG_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    out->rows.resize(static_cast<size_t>(BATCH) * out->schema.row_bytes);
    out->results.resize(BATCH);
}

double decode_round(input *in, output *out)
{
    const uint64_t start = now_ns();
    for (size_t i = 0; i < in->slices.size(); i += BATCH) {
        const tg_raw_batch &raw = in->batches[i / BATCH];
        in->buffer.scratch_used = 0;
        tg_decode_json(out->decoder, &raw, out->rows.data(), out->results.data());
        for (uint32_t j = 0; j < raw.count; j++) {
            if (out->results[j].reason != TG_REASON_none) {
                fprintf(stderr, "record %zu: %s\n", i + j, tg_reason_name(out->results[j].reason));
                exit(1);
            }
        }
    }
    return static_cast<double>(now_ns() - start) / static_cast<double>(in->slices.size());
}

double dom_round(const input &in, simdjson::dom::parser *parser)
{
    const uint64_t start = now_ns();
    uint64_t objects = 0;
    for (const tg_slice &slice : in.slices) {
        simdjson::dom::element root;
        const simdjson::error_code error = parser->parse(slice.value, slice.value_bytes, false).get(root);
        if (error == simdjson::SUCCESS) { objects += root.is_object(); }
    }
    if (objects != in.slices.size()) { exit(1); }
    return static_cast<double>(now_ns() - start) / static_cast<double>(in.slices.size());
}

double stage1_round(const input &in, tg_stage1 *stage1)
{
    const uint64_t start = now_ns();
    uint64_t indexes = 0;
    for (const tg_slice &slice : in.slices) {
        tg_structure structure{};
        const tg_stage1_outcome outcome = tg_stage1_run(stage1, slice.value, slice.value_bytes, &structure);
        if (outcome == TG_STAGE1_OK) { indexes += structure.count; }
    }
    if (indexes == 0) { exit(1); }
    return static_cast<double>(now_ns() - start) / static_cast<double>(in.slices.size());
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void measure(const workload &load, uint32_t count, uint32_t rounds)
{
    input in;
    input_fill(&in, load, count);
    output out;
    output_open(&out, load);
    simdjson::dom::parser parser;
    if (parser.allocate(TG_RECORD_BYTES_MAX) != simdjson::SUCCESS) { exit(1); }
    tg_stage1 *stage1 = tg_stage1_create(TG_RECORD_BYTES_MAX);
    std::vector<double> decode, dom, index, ratio;
    for (uint32_t round = 0; round < rounds + 1; round++) {
        const double ours = decode_round(&in, &out);
        const double theirs = dom_round(in, &parser);
        const double first = stage1_round(in, stage1);
        if (round == 0) { continue; } // warm-up
        decode.push_back(ours);
        dom.push_back(theirs);
        index.push_back(first);
        ratio.push_back(theirs / ours);
    }
    uint64_t bytes = 0;
    for (const tg_slice &slice : in.slices) { bytes += slice.value_bytes; }
    const auto [low, high] = std::minmax_element(ratio.begin(), ratio.end());
    printf("%-12s %3.0f B  decode %6.1f ns %5.2f M/s %5.2f GB/s   DOM %6.1f ns   stage 1 alone %6.1f ns   "
           "decode/DOM speed %.2f [%.2f, %.2f]  kernel %s\n",
           load.name, static_cast<double>(bytes) / count, median(decode), 1e3 / median(decode),
           static_cast<double>(bytes) / count / median(decode), median(dom), median(index), median(ratio), *low, *high,
           tg_stage1_kernel());
    tg_stage1_destroy(stage1);
    tg_decoder_destroy(out.decoder);
}

} // namespace

int main(int argc, char **argv)
{
    const bool is_smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    const workload clicks = {"clicks", click,
                             {"event_id", "user_id", "session_id", "product_id", "category", "action", "ts"},
                             {"event_id", "user_id", "session_id", "product_id", "category", "action", "timestamp"}};
    const workload transactions = {"transactions", transaction, {"user_id", "ts"}, {"userId", "transactionTimestamp"}};
    const uint32_t count = is_smoke ? 2000 : 20000; // 8 MB of clicks: beyond L2, as fetch buffers are
    const uint32_t rounds = is_smoke ? 3 : 41;
    measure(clicks, count, rounds);
    measure(transactions, count, rounds);
    return 0;
}
