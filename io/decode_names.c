/* Compiling names into scopes and members, and the look-ups behind the shape. */
#include "io/decode_names.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/key.h"

static uint32_t slot_start(const struct tg_names *names, uint32_t scope, const uint8_t *name, uint32_t bytes)
{
    const uint64_t hash = tg_key_hash(name, bytes) + scope * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 32) & names->table_mask;
}

uint32_t tg_names_find(const struct tg_names *names, uint32_t scope, const uint8_t *name, uint32_t bytes)
{
    uint32_t slot = slot_start(names, scope, name, bytes);
    while (names->table[slot] != 0) { /* bounded: the table is never more than a quarter full */
        const uint32_t member = names->table[slot] - 1;
        const struct tg_member *candidate = &names->members[member];
        if (candidate->scope == scope && candidate->bytes == bytes && memcmp(candidate->name, name, bytes) == 0) {
            return member;
        }
        slot = (slot + 1) & names->table_mask;
    }
    return names->member_count;
}

uint32_t tg_names_learn(struct tg_names *names, uint32_t scope, const uint8_t *key, uint32_t bytes)
{
    const uint32_t member = tg_names_find(names, scope, key, bytes);
    struct tg_member *known = &names->members[member];
    const bool is_wanted = member != names->member_count;
    if (is_wanted && names->shape[known->shape_at].scope == scope && names->shape[known->shape_at].member == member) {
        names->cursor = known->shape_at + 1; /* some keys were left out this time */
        return member;
    }
    if (names->cursor < TG_SHAPE_COUNT && bytes + 3 <= TG_SHAPE_KEY_BYTES && key[bytes + 1] == ':') {
        struct tg_shape *shape = &names->shape[names->cursor];
        *shape = (struct tg_shape){.bytes = bytes + 3, .scope = scope, .member = member, .opens = known->opens};
        memcpy(shape->words, key - 1, bytes + 3);
        memset(shape->masks, 0xFF, bytes + 3);
        if (is_wanted) { known->shape_at = names->cursor; }
        names->cursor++;
    }
    return member;
}

void tg_names_forget(const struct tg_names *names, uint32_t scope, uint32_t *found)
{
    for (uint32_t i = 0; i < names->member_count; i++) {
        uint32_t around = names->members[i].scope;
        while (around > scope) { /* scopes are numbered after the ones around them */
            around = names->parents[around];
        }
        if (around == scope) { found[i] = 0; }
    }
}

/* Upper bounds of everything: each dot-separated segment of each name could be a member and a scope of its own. */
static uint32_t segments_count(const struct tg_field_spec *fields, uint32_t count, uint32_t *alias_count)
{
    uint32_t segments = 0;
    *alias_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        *alias_count += fields[i].name_count;
        for (uint32_t j = 0; j < fields[i].name_count; j++) {
            segments++;
            for (const char *at = fields[i].names[j]; *at != 0; at++) { segments += *at == '.'; }
        }
    }
    return segments;
}

static uint32_t member_intern(struct tg_names *names, uint32_t scope, const char *name, uint32_t bytes)
{
    const uint32_t known = tg_names_find(names, scope, (const uint8_t *)name, bytes);
    if (known != names->member_count) { return known; }
    const uint32_t member = names->member_count++;
    names->members[member] =
        (struct tg_member){.name = name, .bytes = bytes, .scope = scope, .shape_at = TG_SHAPE_COUNT};
    uint32_t slot = slot_start(names, scope, (const uint8_t *)name, bytes);
    while (names->table[slot] != 0) { slot = (slot + 1) & names->table_mask; }
    names->table[slot] = member + 1;
    return member;
}

/* The member at the end of a dotted name, with every scope on the way to it. */
static uint32_t path_intern(struct tg_names *names, const char *path)
{
    uint32_t scope = 0;
    uint32_t depth = 1;
    for (;;) {
        const char *dot = strchrnul(path, '.');
        const uint32_t member = member_intern(names, scope, path, (uint32_t)(dot - path));
        if (*dot == 0) { return member; }
        depth++;
        TG_ASSERT(depth < TG_JSON_DEPTH_MAX);
        if (names->members[member].opens == 0) {
            names->members[member].opens = names->scope_count;
            names->parents[names->scope_count++] = scope;
        }
        scope = names->members[member].opens;
        path = dot + 1;
    }
}

bool tg_names_init(struct tg_names *names, const struct tg_field_spec *fields, uint32_t count)
{
    uint32_t alias_count;
    const uint32_t segments = segments_count(fields, count, &alias_count);
    uint32_t table_count = 64;
    while (table_count < 4 * segments) { table_count *= 2; }
    *names = (struct tg_names){.table_mask = table_count - 1, .scope_count = 1};
    names->members = calloc(segments + 1, sizeof *names->members);
    names->parents = calloc(segments + 1, sizeof *names->parents);
    names->table = calloc(table_count, sizeof *names->table);
    names->aliases = calloc(alias_count + 1, sizeof *names->aliases);
    if (names->members == NULL || names->parents == NULL || names->table == NULL || names->aliases == NULL) {
        tg_names_deinit(names);
        return false;
    }
    uint32_t alias = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < fields[i].name_count; j++) {
            names->aliases[alias++] = path_intern(names, fields[i].names[j]);
        }
    }
    names->members[names->member_count] = (struct tg_member){.scope = UINT32_MAX, .shape_at = TG_SHAPE_COUNT};
    for (uint32_t i = 0; i <= TG_SHAPE_COUNT; i++) { names->shape[i].scope = UINT32_MAX; }
    return true;
}

void tg_names_deinit(struct tg_names *names)
{
    free(names->members);
    free(names->parents);
    free(names->table);
    free(names->aliases);
    *names = (struct tg_names){0};
}
