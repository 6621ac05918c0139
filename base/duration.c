/* Durations as people write them in job files: whole numbers with units, largest unit first, each unit at most once. */
#include <string.h>

#include "base/assert.h"
#include "base/digits.h"
#include "base/timestamp.h"

struct unit {
    char name[4];
    uint32_t name_bytes;
    int64_t us;
};

/* Largest first. "ms" stands before "m" and "us" last only matters to the reader: names are matched whole. */
static const struct unit units[] = {
    {"d", 1, INT64_C(86400000000)}, {"h", 1, INT64_C(3600000000)}, {"m", 1, 60000000},
    {"s", 1, 1000000},              {"ms", 2, 1000},               {"us", 2, 1},
};
enum { UNIT_COUNT = sizeof units / sizeof units[0] };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The unit named at `text`, searched from `first` on; UNIT_COUNT when there is none. */
static uint32_t unit_find(const char *text, uint32_t first)
{
    uint32_t letters = 0;
    while (text[letters] >= 'a' && text[letters] <= 'z' && letters < 4) { letters++; }
    for (uint32_t i = first; i < UNIT_COUNT; i++) {
        if (units[i].name_bytes == letters && memcmp(units[i].name, text, letters) == 0) { return i; }
    }
    return UNIT_COUNT;
}

bool tg_duration_parse(const char *text, tg_us *out)
{
    if (text[0] == '0' && text[1] == '\0') {
        *out = 0;
        return true;
    }
    int64_t total = 0;
    uint32_t first = 0; /* units still allowed start here */
    while (is_digit(*text)) {
        int64_t number = 0;
        for (; is_digit(*text); text++) {
            if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *text - '0', &number)) {
                return false;
            }
        }
        const uint32_t unit = unit_find(text, first);
        if (unit == UNIT_COUNT) { return false; }
        if (__builtin_mul_overflow(number, units[unit].us, &number)) { return false; }
        if (__builtin_add_overflow(total, number, &total)) { return false; }
        text += units[unit].name_bytes;
        first = unit + 1;
    }
    if (first == 0 || *text != '\0') { return false; }
    *out = total;
    return true;
}

char *tg_duration_format(tg_us us, char out[32])
{
    char *end = out;
    uint64_t rest = us < 0 ? -(uint64_t)us : (uint64_t)us;
    if (us < 0) { *end++ = '-'; }
    if (us == 0) { *end++ = '0'; }
    for (uint32_t i = 0; i < UNIT_COUNT; i++) {
        const uint64_t number = rest / (uint64_t)units[i].us;
        if (number == 0) { continue; }
        rest -= number * (uint64_t)units[i].us;
        const uint32_t digits = tg_digits_count(number);
        tg_digits_put(end, number, digits);
        memcpy(end + digits, units[i].name, units[i].name_bytes);
        end += digits + units[i].name_bytes;
    }
    *end = '\0';
    TG_DCHECK(end - out < 32);
    return out;
}
