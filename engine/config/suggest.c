/* Damerau-Levenshtein distance in its restricted form (optimal string alignment): three rows of the usual table. */
#include "engine/config/suggest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static int folded(char c) { return tolower((unsigned char)c); }

uint32_t tg_suggest_distance(const char *a, const char *b)
{
    const size_t a_bytes = strlen(a);
    const size_t b_bytes = strlen(b);
    if (a_bytes >= TG_SUGGEST_BYTES_MAX || b_bytes >= TG_SUGGEST_BYTES_MAX) { return TG_SUGGEST_BYTES_MAX; }
    uint32_t rows[3][TG_SUGGEST_BYTES_MAX];
    uint32_t *before = rows[0];
    uint32_t *last = rows[1];
    uint32_t *row = rows[2];
    for (uint32_t k = 0; k <= b_bytes; k++) { last[k] = k; }
    for (uint32_t i = 1; i <= a_bytes; i++) {
        row[0] = i;
        for (uint32_t k = 1; k <= b_bytes; k++) {
            const uint32_t cost = folded(a[i - 1]) != folded(b[k - 1]);
            row[k] = least(least(last[k] + 1, row[k - 1] + 1), last[k - 1] + cost);
            if (i > 1 && k > 1 && folded(a[i - 1]) == folded(b[k - 2]) && folded(a[i - 2]) == folded(b[k - 1])) {
                row[k] = least(row[k], before[k - 2] + 1);
            }
        }
        uint32_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_bytes];
}

const char *tg_suggest(const char *name, uint32_t count, const char *const *candidates)
{
    const uint32_t bytes = (uint32_t)strlen(name);
    uint32_t nearest = bytes / 3;
    if (nearest < 2) { nearest = bytes < 4 ? 1 : 2; }
    nearest++;
    const char *found = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t distance = tg_suggest_distance(name, candidates[i]);
        if (distance < nearest) {
            nearest = distance;
            found = candidates[i];
        }
    }
    for (uint32_t i = 0; i < count && found == NULL && bytes >= 3; i++) {
        if (strncasecmp(name, candidates[i], bytes) == 0) { found = candidates[i]; }
    }
    return found;
}
