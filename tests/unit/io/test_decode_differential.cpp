// Validity against an independent judge: simdjson's DOM parser, on mutations of the JSONTestSuite documents and of a
// record; and records alone against the same records in company. C++ only because the judge is; what is tested is the C
// interface.
#include <criterion/criterion.h>
#include <dirent.h>
#include <simdjson.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

// C headers: what C++ warns about in them (a function named like a struct, {0}) is plain C.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
extern "C" {
#include "base/prng.h"
#include "io/decode.h"
#include "tests/seed.h"
#include "tests/source_path.h"
}
#pragma GCC diagnostic pop

namespace {

std::vector<std::string> documents_read()
{
    const std::string folder = tg_test_source_path("tests/data/json/test_parsing/");
    std::vector<std::string> documents = {
        R"({"id":"a\u00e9\n","amount":-12.50e+1,"o":{"a":[1,true,null,{"b":"\ud834\udd1e"}],"e":{}},)"
        R"("z":[ ],"t":"2024-05-11T10:00:00Z"})"};
    DIR *directory = opendir(folder.c_str());
    cr_assert(directory != nullptr);
    for (dirent *entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
        FILE *stream = entry->d_name[0] == '.' ? nullptr : fopen((folder + entry->d_name).c_str(), "rb");
        if (stream == nullptr) { continue; }
        std::string text(1 << 18, 0);
        text.resize(fread(&text[0], 1, text.size(), stream));
        fclose(stream);
        if (!text.empty() && text.size() < 2000) { documents.push_back(text); }
    }
    closedir(directory);
    return documents;
}

// One to three edits: a byte changed, taken out, put in; a piece moved or doubled.
void mutate(std::string &text, tg_prng *prng, const std::vector<std::string> &documents)
{
    static const char alphabet[] = "{}[]:,\"\\u0019-+.eEtrufalsn \t\n\r\f\x01\x7f\xc3\xa9\xed\xa0\x80\xff/b";
    for (uint32_t edits = 1 + tg_prng_below(prng, 3); edits > 0; edits--) {
        const uint32_t size = static_cast<uint32_t>(text.size());
        const uint32_t at = size == 0 ? 0 : tg_prng_below(prng, size);
        const char byte = alphabet[tg_prng_below(prng, sizeof alphabet - 1)];
        const std::string &other = documents[tg_prng_below(prng, static_cast<uint32_t>(documents.size()))];
        switch (tg_prng_below(prng, 6)) {
        case 0: text.insert(at, 1, byte); break;
        case 1: text.erase(at, size == 0 ? 0 : 1); break;
        case 2: text.resize(at); break;
        case 3: text.insert(at, other, 0, 200); break;
        case 4: text.insert(at, text.substr(at, tg_prng_below(prng, 20))); break;
        default:
            if (size > 0) { text[at] = byte; }
            break;
        }
    }
}

// The judge turns numbers into 64 bits and refuses those that do not fit; we keep lexemes. Such documents are left out.
bool has_long_number(const std::string &text)
{
    uint32_t digits = 0;
    for (size_t i = 0; i < text.size(); i++) {
        const bool is_digit = text[i] >= '0' && text[i] <= '9';
        digits = is_digit ? digits + 1 : 0;
        if (digits > 18) { return true; }
        const bool is_exponent = text[i] == 'e' || text[i] == 'E';
        size_t j = i + 1 + (is_exponent && i + 1 < text.size() && (text[i + 1] == '+' || text[i + 1] == '-'));
        while (is_exponent && j < text.size() && text[j] == '0') { j++; }
        if (is_exponent && j + 2 < text.size() && text[j] >= '0' && text[j] <= '9' && text[j + 1] >= '0' &&
            text[j + 1] <= '9' &&
            text[j + 2] >= '0' && text[j + 2] <= '9') {
            return true;
        }
    }
    return false;
}

struct subject {
    tg_schema schema{};
    tg_field_spec spec{};
    const char *name = "o.a.b";
    tg_decoder *decoder = nullptr;
    std::vector<uint8_t> data;
    std::vector<uint8_t> scratch;
    tg_buffer buffer{};
    tg_raw_batch raw{};

    subject() : data(1 << 20), scratch(1 << 20)
    {
        schema.column_count = 1;
        schema.columns[0].name = name;
        schema.columns[0].type = TG_TYPE_TEXT;
        tg_schema_layout(&schema);
        spec.names = &name;
        spec.name_count = 1;
        tg_decoder_config config{};
        config.schema = &schema;
        config.fields = &spec;
        cr_assert(tg_decoder_create(&decoder, &config, nullptr) == TG_OK);
        buffer.data = data.data();
        raw.buffer = &buffer;
        buffer.scratch = scratch.data();
        buffer.capacity = static_cast<uint32_t>(data.size() - TG_BUFFER_PADDING);
    }
    ~subject() { tg_decoder_destroy(decoder); }

    // All of them as neighbours in one buffer: they share runs of stage 1.
    std::vector<tg_decoded> decode_together(const std::vector<std::string> &texts, std::vector<std::string> *values)
    {
        size_t used = 0;
        raw.count = 0;
        for (const std::string &text : texts) {
            memcpy(data.data() + used, text.data(), text.size());
            tg_slice slice{};
            slice.value = data.data() + used;
            slice.value_bytes = static_cast<uint32_t>(text.size());
            raw.slices[raw.count++] = slice;
            used += text.size();
        }
        memset(data.data() + used, '"', TG_BUFFER_PADDING);
        buffer.scratch_used = 0;
        std::vector<uint8_t> rows(texts.size() * schema.row_bytes);
        std::vector<tg_decoded> results(texts.size());
        tg_decode_json(decoder, &raw, rows.data(), results.data());
        for (size_t i = 0; i < texts.size(); i++) {
            const uint8_t *row = rows.data() + i * schema.row_bytes;
            tg_text value{};
            memcpy(&value, row + schema.columns[0].offset, sizeof value);
            values->push_back(results[i].reason != TG_REASON_none ? "refused" : tg_row_is_null(&schema, row, 0) ? "null"
                              : std::string(value.data, value.bytes));
        }
        return results;
    }

    tg_reason decode(const std::string &text)
    {
        memcpy(data.data(), text.data(), text.size());
        memset(data.data() + text.size(), '}', TG_BUFFER_PADDING);
        buffer.scratch_used = 0;
        tg_slice slice{};
        slice.value = data.data();
        slice.value_bytes = static_cast<uint32_t>(text.size());
        alignas(16) uint8_t row[256];
        tg_decoded decoded{};
        raw.count = 1;
        raw.slices[0] = slice;
        tg_decode_json(decoder, &raw, row, &decoded);
        return decoded.field >= 0 ? TG_REASON_none : decoded.reason;
    }
};

} // namespace

Test(decode_differential, validity_agrees_with_a_dom_parser_on_mutated_documents)
{
    const uint64_t seed = tg_test_seed();
    tg_prng prng = {seed};
    const std::vector<std::string> documents = documents_read();
    subject ours;
    simdjson::dom::parser judge;
    uint64_t valid = 0;
    uint64_t compared = 0;
    for (uint32_t step = 0; step < 500000; step++) {
        std::string text = documents[tg_prng_below(&prng, static_cast<uint32_t>(documents.size()))];
        if (step % 2 == 0) { text = documents[0]; }
        mutate(text, &prng, documents);
        if (text.empty() || has_long_number(text)) { continue; }
        simdjson::dom::element root;
        const simdjson::error_code error = judge.parse(simdjson::padded_string(text)).get(root);
        const bool is_utf8 = simdjson::validate_utf8(text);
        tg_reason expected = error != simdjson::SUCCESS ? TG_REASON_bad_json : TG_REASON_none;
        if (!is_utf8) { expected = TG_REASON_bad_utf8; }
        if (expected == TG_REASON_none && !root.is_object()) { expected = TG_REASON_not_object; }
        const tg_reason reason = ours.decode(text);
        cr_assert(reason == expected, "seed %" PRIu64 " step %u: ours %s, judge %s (%s) on\n%s", seed, step,
            tg_reason_name(reason),
                  tg_reason_name(expected), simdjson::error_message(error), text.c_str());
        compared++;
        valid += expected == TG_REASON_none || expected == TG_REASON_not_object;
    }
    cr_assert(compared > 300000, "%" PRIu64 " documents compared", compared);
    cr_assert(valid > 20000, "%" PRIu64 " valid documents", valid);
}

Test(decode_differential, neighbours_do_not_change_what_a_record_gives)
{
    const uint64_t seed = tg_test_seed();
    tg_prng prng = {seed};
    const std::vector<std::string> documents = documents_read();
    const std::vector<std::string> records = {
        R"({"o":{"a":{"b":"one"}},"x":1})", R"({"x":"\u0041\\","o":{"a":{"b":"t\two"}}})", R"({"o":{"a":{"b":""}}})",
        R"({"id":"plain","category":"books","o":{"x":[1,2,{}],"a":{"b":"three"}}})"};
    subject ours;
    uint64_t accepted = 0;
    uint64_t refused = 0;
    for (uint32_t round = 0; round < 30000; round++) {
        std::vector<std::string> texts;
        const uint32_t broken_in = 1 + tg_prng_below(&prng, 40); // from nearly all to nearly none
        for (uint32_t i = 2 + tg_prng_below(&prng, 30); i > 0; i--) {
            std::string text = records[tg_prng_below(&prng, 4)];
            if (tg_prng_below(&prng, broken_in) == 0) {
                const uint32_t other = tg_prng_below(&prng, static_cast<uint32_t>(documents.size()));
                if (tg_prng_below(&prng, 2) == 0) { text = documents[other]; }
                mutate(text, &prng, documents);
            }
            if (tg_prng_below(&prng, 200) == 0) { text.append(3000, ' '); }
            texts.push_back(text);
        }
        std::vector<std::string> together;
        const std::vector<tg_decoded> results = ours.decode_together(texts, &together);
        for (size_t i = 0; i < texts.size(); i++) {
            std::vector<std::string> alone;
            const tg_decoded expected = ours.decode_together({texts[i]}, &alone)[0];
            cr_assert(results[i].reason == expected.reason && results[i].field == expected.field,
                "seed %" PRIu64 " round %u: %s, alone %s:\n%s",
                      seed, round, tg_reason_name(results[i].reason), tg_reason_name(expected.reason),
                          texts[i].c_str());
            cr_assert(together[i] == alone[0], "seed %" PRIu64 " round %u: %s, alone %s", seed, round,
                together[i].c_str(), alone[0].c_str());
            (expected.reason == TG_REASON_none ? accepted : refused)++;
        }
    }
    cr_assert(accepted > 100000 && refused > 10000, "%" PRIu64 " accepted, %" PRIu64 " refused", accepted, refused);
}
