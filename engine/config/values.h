/* Single values as the job file and the command line write them: numbers, sizes, rates, durations, choices. */
#ifndef TG_ENGINE_CONFIG_VALUES_H
#define TG_ENGINE_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "io/options.h"

/* Read `text` as `kind` into *number (see enum tg_option_kind for the units; 0 for texts). `choices` ("a|b") belongs to
 * TG_OPTION_CHOICE; for numbers it lists words that may stand instead, and the word number i gives
 * TG_VALUE_WORD - i. False when it is no such value.  @any */
TG_MUST_USE bool tg_value_parse(enum tg_option_kind kind, const char *choices, const char *text, int64_t *number);
#define TG_VALUE_WORD INT64_MAX
/* The longest duration a user may write, a little more than 10,000 years: a timestamp and a handful of these can be
 * added and subtracted without a thought for overflow. */
#define TG_DURATION_US_MAX (INT64_C(3660000) * 86400000000)

/* What a value of `kind` looks like: "a duration such as 250ms, 30s, 5m or 24h".  @any */
const char *tg_value_looks_like(enum tg_option_kind kind);

/* Name of a kind in generated documentation: "duration".  @any */
const char *tg_value_kind_name(enum tg_option_kind kind);

/* Index of `text` in "a|b|c", or -1.  @any */
int tg_choice_index(const char *choices, const char *text);
/* Choice `index` copied to out[capacity]; false when there is none.  @any */
bool tg_choice_at(const char *choices, uint32_t index, char *out, size_t capacity);

#endif
