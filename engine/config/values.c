/* Strict readers: the whole text or nothing, no rounding, no overflow. */
#include "engine/config/values.h"

#include <string.h>

#include "base/timestamp.h"

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},           {"B", 1},           {"kB", 1000},          {"MB", 1000000},     {"GB", 1000000000},
    {"TB", 1000000000000}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1LL << 40},
};
static const struct unit rate_units[] = {
    {"", 1},   {"k", 1000},   {"M", 1000000},   {"G", 1000000000},
    {"/s", 1}, {"k/s", 1000}, {"M/s", 1000000}, {"G/s", 1000000000},
};
static const struct unit share_units[] = {{"", 1000000}, {"%", 10000}};

/* Decimal digits with an optional fraction, times the unit's factor; the product must be whole. */
static bool parse_scaled(const char *text, const struct unit *units, size_t unit_count, int64_t *number)
{
    int64_t whole = 0;
    uint32_t digits = 0;
    for (; *text >= '0' && *text <= '9'; text++, digits++) {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *text - '0', &whole)) {
            return false;
        }
    }
    int64_t fraction = 0;
    int64_t denominator = 1;
    if (digits == 0) { return false; }
    if (*text == '.') {
        text++;
        const char *start = text;
        for (; *text >= '0' && *text <= '9'; text++) {
            if (text - start == 12) { return false; }
            fraction = fraction * 10 + (*text - '0');
            denominator *= 10;
        }
        if (text == start) { return false; }
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(units[i].suffix, text) != 0) { continue; }
        int64_t parts = 0;
        if (__builtin_mul_overflow(whole, units[i].factor, number)) { return false; }
        if (__builtin_mul_overflow(fraction, units[i].factor, &parts) || parts % denominator != 0) { return false; }
        return !__builtin_add_overflow(*number, parts / denominator, number);
    }
    return false;
}

static bool parse_integer(const char *text, int64_t *number)
{
    const bool negative = *text == '-';
    int64_t value = 0;
    text += negative;
    if (*text == '\0') { return false; }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') { return false; }
        const int64_t digit = negative ? '0' - *text : *text - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value)) { return false; }
    }
    *number = value;
    return true;
}

static bool parse_boolean(const char *text, int64_t *number)
{
    *number = strcmp(text, "true") == 0;
    return *number == 1 || strcmp(text, "false") == 0;
}

bool tg_value_parse(enum tg_option_kind kind, const char *choices, const char *text, int64_t *number)
{
    *number = 0;
    const int choice = choices != NULL ? tg_choice_index(choices, text) : -1;
    if (kind == TG_OPTION_CHOICE) {
        *number = choice;
        return choice >= 0;
    }
    if (choice >= 0) {
        *number = TG_VALUE_WORD - choice;
        return true;
    }
    switch (kind) {
    case TG_OPTION_INTEGER: return parse_integer(text, number);
    case TG_OPTION_NUMBER: return parse_scaled(text, share_units, sizeof share_units / sizeof share_units[0], number);
    case TG_OPTION_BOOLEAN: return parse_boolean(text, number);
    case TG_OPTION_DURATION: {
        tg_us us = 0;
        if (!tg_duration_parse(text, &us) || us > TG_DURATION_US_MAX) { return false; }
        *number = us;
        return true;
    }
    case TG_OPTION_SIZE: return parse_scaled(text, size_units, sizeof size_units / sizeof size_units[0], number);
    case TG_OPTION_RATE: return parse_scaled(text, rate_units, sizeof rate_units / sizeof rate_units[0], number);
    case TG_OPTION_TEXT:
    case TG_OPTION_SECRET:
    case TG_OPTION_MAP:
    case TG_OPTION_LIST:
    case TG_OPTION_CHOICE: return true;
    }
    return false;
}

const char *tg_value_looks_like(enum tg_option_kind kind)
{
    switch (kind) {
    case TG_OPTION_TEXT:
    case TG_OPTION_SECRET: return "a text";
    case TG_OPTION_INTEGER: return "a whole number";
    case TG_OPTION_NUMBER: return "a number such as 0.05 or 5%";
    case TG_OPTION_BOOLEAN: return "true or false";
    case TG_OPTION_DURATION: return "a duration such as 250ms, 30s, 5m, 24h or 1h30m";
    case TG_OPTION_SIZE: return "a size such as 4096, 64KiB, 128MiB or 1GiB";
    case TG_OPTION_RATE: return "a rate such as 1000, 1k/s or 2M/s";
    case TG_OPTION_CHOICE: return "one of the choices";
    case TG_OPTION_MAP: return "a mapping of names to texts";
    case TG_OPTION_LIST: return "a list of texts";
    }
    return "?";
}

const char *tg_value_kind_name(enum tg_option_kind kind)
{
    static const char *const names[] = {"text", "secret", "integer", "number", "boolean", "duration",
                                        "size", "rate",   "choice",  "map",    "list"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

int tg_choice_index(const char *choices, const char *text)
{
    const size_t bytes = strlen(text);
    int index = 0;
    for (const char *at = choices; *at != '\0'; index++) {
        const size_t length = strcspn(at, "|");
        if (length == bytes && memcmp(at, text, bytes) == 0) { return index; }
        at += length + (at[length] == '|');
    }
    return -1;
}

bool tg_choice_at(const char *choices, uint32_t index, char *out, size_t capacity)
{
    for (const char *at = choices; *at != '\0'; index--) {
        const size_t length = strcspn(at, "|");
        if (index == 0) {
            if (length >= capacity) { return false; }
            memcpy(out, at, length);
            out[length] = '\0';
            return true;
        }
        at += length + (at[length] == '|');
    }
    return false;
}
