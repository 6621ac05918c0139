/* Grammar of JSON over structural indexes. An index i names the token at bytes[at[i]]; functions that consume tokens
 * return the index behind them, or 0 when the document is broken (0 is the first token, never behind anything). Every
 * index read is below structure.count or is the length that stands there; bytes behind it may hold anything, so nothing
 * may be concluded from a byte before its index was checked. A broken document may lead the walk into the ones behind
 * it, which is harmless: in the end the last token must stand inside the document and the next one outside. */
#include "io/decode_walk.h"

#include "base/assert.h"
#include "io/decode_string.h"

static inline uint8_t token(const struct tg_walk *walk, uint32_t i) { return walk->bytes[walk->structure.at[i]]; }

static const uint8_t *digits_skip(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (uint32_t)(*at - '0') < 10) { at++; }
    return at;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? and nothing else. */
static bool number_ok(const uint8_t *at, const uint8_t *end)
{
    at += *at == '-';
    const uint8_t *digits = at;
    at = digits_skip(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1)) { return false; }
    if (at < end && *at == '.') {
        digits = ++at;
        at = digits_skip(at, end);
        if (at == digits) { return false; }
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = digits_skip(at, end);
        if (at == digits) { return false; }
    }
    return at == end;
}

static bool word_ok(const struct tg_walk *walk, uint32_t i, const char *word, uint32_t bytes)
{
    const uint32_t start = walk->structure.at[i];
    return tg_walk_token_end(walk, i) - start == bytes && memcmp(walk->bytes + start, word, bytes) == 0;
}

/* String i reaches past the next backslash, so that one is inside it: check its escapes, look for the next string's. */
TG_COLD static bool escapes_ok(struct tg_walk *walk, uint32_t i)
{
    const uint8_t *const end = walk->bytes + tg_walk_token_end(walk, i) - 1;
    if (walk->escape >= end || !tg_string_escapes_ok(walk->escape, (uint32_t)(end - walk->escape))) { return false; }
    walk->has_escapes = true;
    const uint8_t *next = memchr(end, '\\', (size_t)(walk->escape_end - end));
    walk->escape = next != NULL ? next : walk->escape_end;
    return true;
}

static inline bool string_has_escapes(const struct tg_walk *walk, uint32_t i)
{
    return TG_UNLIKELY(walk->bytes + walk->structure.at[i + 1] > walk->escape);
}

static inline bool string_ok(struct tg_walk *walk, uint32_t i)
{
    return !string_has_escapes(walk, i) || escapes_ok(walk, i);
}

/* Anything that is neither string nor container. */
static bool plain_ok(const struct tg_walk *walk, uint32_t i)
{
    switch (token(walk, i)) {
    case 't': return word_ok(walk, i, "true", 4);
    case 'f': return word_ok(walk, i, "false", 5);
    case 'n': return word_ok(walk, i, "null", 4);
    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return number_ok(walk->bytes + walk->structure.at[i], walk->bytes + tg_walk_token_end(walk, i));
    default: return false;
    }
}

/* Key i and its colon, in an object nobody wants anything from; at least a value and a bracket must follow. */
static uint32_t skip_key(struct tg_walk *walk, uint32_t i)
{
    if (i + 3 >= walk->structure.count || token(walk, i) != '"' || token(walk, i + 1) != ':') { return 0; }
    return string_ok(walk, i) ? i + 2 : 0;
}

/* The container that opens at i, with `depth` containers around it. One bit each says which of the open ones are
 * objects. */
static uint32_t skip_container(struct tg_walk *walk, uint32_t i, uint32_t depth)
{
    uint64_t objects[TG_JSON_DEPTH_MAX / 64 + 1] = {0};
    const uint32_t around = depth;
    const uint32_t count = walk->structure.count;
    for (;;) { /* i is a value; every turn consumes a token */
        const uint8_t first = token(walk, i);
        if (first == '{' || first == '[') {
            if (++depth > TG_JSON_DEPTH_MAX || i + 1 >= count) { return 0; }
            const uint64_t bit = UINT64_C(1) << (depth & 63);
            objects[depth >> 6] = first == '{' ? objects[depth >> 6] | bit : objects[depth >> 6] & ~bit;
            i++;
            if (token(walk, i) != first + 2) { /* '{' + 2 is '}', '[' + 2 is ']' */
                if (first == '{') { i = skip_key(walk, i); }
                if (i == 0) { return 0; }
                continue;
            }
            i++;
            depth--;
        } else {
            if (!(first == '"' ? string_ok(walk, i) : plain_ok(walk, i))) { return 0; }
            i++;
        }
        for (;;) { /* i is behind a value */
            if (depth == around) { return i; }
            if (i >= count) { return 0; }
            const bool is_object = objects[depth >> 6] >> (depth & 63) & 1;
            const uint8_t next = token(walk, i);
            i++;
            if (next == ',') { break; }
            if (next != (is_object ? '}' : ']')) { return 0; }
            depth--;
        }
        if (objects[depth >> 6] >> (depth & 63) & 1) { i = skip_key(walk, i); }
        if (i == 0 || i >= count) { return 0; }
    }
}

static inline uint32_t skip_value(struct tg_walk *walk, uint32_t i, uint32_t depth)
{
    const uint8_t first = token(walk, i);
    if (TG_LIKELY(first == '"')) { return string_ok(walk, i) ? i + 1 : 0; }
    if (first == '{' || first == '[') { return skip_container(walk, i, depth); }
    return plain_ok(walk, i) ? i + 1 : 0;
}

/* The member that key i of `scope` means when the shape did not expect it; false when the key is broken. */
static bool key_find(struct tg_walk *walk, uint32_t i, uint32_t scope, uint32_t *member)
{
    const uint8_t *key = walk->bytes + walk->structure.at[i] + 1;
    const uint32_t bytes = tg_walk_token_end(walk, i) - walk->structure.at[i] - 2;
    if (!string_has_escapes(walk, i)) {
        *member = tg_names_learn(walk->names, scope, key, bytes);
        return true;
    }
    const bool had_escapes = walk->has_escapes;
    if (!escapes_ok(walk, i)) { return false; }
    walk->has_escapes = had_escapes; /* it speaks of values */
    *member = tg_names_find(walk->names, scope, walk->scratch, tg_string_unescape(key, bytes, walk->scratch));
    return true;
}

/* Key i of `scope` and its colon. */
static inline bool key_match(struct tg_walk *walk, uint32_t i, uint32_t scope, uint32_t *member)
{
    struct tg_names *names = walk->names;
    const struct tg_shape *shape = &names->shape[names->cursor];
    if (TG_LIKELY(tg_shape_matches(shape, scope, walk->bytes + walk->structure.at[i]))) {
        names->cursor++;
        *member = shape->member;
        return true;
    }
    return token(walk, i) == '"' && token(walk, i + 1) == ':' && key_find(walk, i, scope, member);
}

/* The bulk of most documents, as far as it goes: from key i on, members with the expected key and a string without
 * escapes. Returns the index of the first key that is something else, or 0 when the document ended with its own brace:
 * then `consumed` is set. */
static inline uint32_t walk_expected(struct tg_walk *walk, uint32_t i, uint32_t scope)
{
    const uint8_t *const bytes = walk->bytes;
    const uint32_t *const at = walk->structure.at;
    const uint32_t count = walk->structure.count;
    const uint8_t *const escape = walk->escape;
    uint32_t *const found = walk->found;
    const struct tg_shape *shape = &walk->names->shape[walk->names->cursor];
    for (; i + 3 < count; i += 4, shape++) {
        const uint32_t value = at[i + 2];
        const uint32_t behind = at[i + 3];
        if (!tg_shape_matches(shape, scope, bytes + at[i]) || shape->opens != 0) { break; }
        if (bytes[value] != '"' || bytes + behind > escape) { break; }
        if (bytes[behind] != ',') {
            if (bytes[behind] != '}' || scope != 0 || behind >= walk->end || at[i + 4] < walk->end) { break; }
            found[shape->member] = i + 2;
            walk->consumed = i + 4;
            return 0;
        }
        found[shape->member] = i + 2;
    }
    walk->names->cursor = (uint32_t)(shape - walk->names->shape);
    return i;
}

/* True when the token before i is the document's last one. */
static inline bool document_ends(struct tg_walk *walk, uint32_t i)
{
    walk->consumed = i;
    return walk->structure.at[i - 1] < walk->end && walk->structure.at[i] >= walk->end;
}

/* The document is an object: its members, and those of objects inside it that hold wanted names. */
static bool walk_object(struct tg_walk *walk)
{
    const struct tg_member *members = walk->names->members;
    const uint32_t count = walk->structure.count;
    uint32_t scope = 0;
    uint32_t depth = 1;
    uint32_t i = 1;
    bool is_empty = count > 1 && token(walk, 1) == '}';
    for (;;) { /* i is the first key of an object or a key behind a comma; every turn consumes a token */
        if (!is_empty) {
            uint32_t member;
            i = walk_expected(walk, i, scope);
            if (TG_LIKELY(i == 0)) { return true; }
            if (i + 3 >= count || !key_match(walk, i, scope, &member)) { return false; }
            i += 2;
            const uint32_t opens = members[member].opens;
            if (TG_UNLIKELY(opens != 0)) {
                if (walk->found[member] != 0) { tg_names_forget(walk->names, opens, walk->found); }
                if (token(walk, i) == '{') {
                    walk->found[member] = i;
                    scope = opens;
                    depth++;
                    i++;
                    is_empty = token(walk, i) == '}';
                    continue;
                }
            }
            walk->found[member] = i;
            i = skip_value(walk, i, depth);
            if (i == 0) { return false; }
        }
        is_empty = false;
        for (;;) { /* i is behind a value or at the brace of an empty object */
            if (i >= count) { return false; }
            const uint8_t next = token(walk, i);
            i++;
            if (next == ',') { break; }
            if (next != '}') { return false; }
            if (--depth == 0) { return document_ends(walk, i); }
            scope = walk->names->parents[scope];
        }
    }
}

enum tg_walk_outcome tg_walk_document(struct tg_walk *walk)
{
    TG_DCHECK(walk->structure.count > 0);
    walk->names->cursor = 0;
    walk->has_escapes = false;
    if (TG_LIKELY(token(walk, 0) == '{')) { return walk_object(walk) ? TG_WALK_OBJECT : TG_WALK_BAD; }
    const uint32_t behind = skip_value(walk, 0, 0);
    return behind != 0 && document_ends(walk, behind) ? TG_WALK_OTHER : TG_WALK_BAD;
}
