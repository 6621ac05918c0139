// Owns the only contact with simdjson: its stage 1, called through the library's own plug-in interface so that the
// kernel is the best one of the running CPU whatever flags we are compiled with. That interface is internal to
// simdjson, so the version is pinned here; a newer one must pass the whole decode suite before the pin moves.
// No exception leaves or enters: memory is asked for with nothrow and errors are codes.
#define SIMDJSON_EXCEPTIONS 0
#include "io/decode_stage1.h"

#include <simdjson.h>

#include <memory>
#include <new>

static_assert(simdjson::SIMDJSON_VERSION_MAJOR == 3 && simdjson::SIMDJSON_VERSION_MINOR == 0 &&
                  simdjson::SIMDJSON_VERSION_REVISION == 1,
              "the stage-1 interface is internal to simdjson: run the decode suite on this version, then move the pin");

struct tg_stage1 {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

extern "C" struct tg_stage1 *tg_stage1_create(uint32_t bytes_max)
{
    struct tg_stage1 *stage1 = new (std::nothrow) tg_stage1;
    if (stage1 == nullptr) { return nullptr; }
    // Depth belongs to simdjson's stage 2, which never runs here.
    const simdjson::error_code error =
        simdjson::get_active_implementation()->create_dom_parser_implementation(bytes_max, 1, stage1->parser);
    if (error != simdjson::SUCCESS) {
        delete stage1;
        return nullptr;
    }
    return stage1;
}

extern "C" void tg_stage1_destroy(struct tg_stage1 *stage1) { delete stage1; }

extern "C" enum tg_stage1_outcome tg_stage1_run(struct tg_stage1 *stage1, const uint8_t *bytes, uint32_t length,
                                                struct tg_structure *out)
{
    simdjson::internal::dom_parser_implementation &parser = *stage1->parser;
    if (parser.stage1(bytes, length, simdjson::stage1_mode::regular) != simdjson::SUCCESS) { return TG_STAGE1_REFUSED; }
    // Kernels leave room for a few entries behind the last one and put the length there; this makes it ours to rely on.
    parser.structural_indexes[parser.n_structural_indexes] = length;
    out->at = parser.structural_indexes.get();
    out->count = parser.n_structural_indexes;
    return TG_STAGE1_OK;
}

extern "C" bool tg_stage1_is_utf8(const uint8_t *bytes, uint32_t length)
{
    return simdjson::validate_utf8(reinterpret_cast<const char *>(bytes), length);
}

// Implementation names are static strings inside the library; name() returns a copy, so only the known ones are told
// apart.
extern "C" const char *tg_stage1_kernel(void)
{
    static const char *const names[] = {"icelake", "haswell", "westmere", "arm64", "ppc64", "fallback"};
    const std::string name = simdjson::get_active_implementation()->name();
    for (const char *known : names) {
        if (name == known) { return known; }
    }
    return "other";
}
