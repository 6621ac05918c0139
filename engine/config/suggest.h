/* "Did you mean": the nearest of a few known names. */
#ifndef TG_ENGINE_CONFIG_SUGGEST_H
#define TG_ENGINE_CONFIG_SUGGEST_H

#include <stdint.h>

enum { TG_SUGGEST_BYTES_MAX = 64 }; /* longer names are never near anything */

/* Edits (insert, delete, replace, swap of neighbours; letter case counts as nothing) from `a` to `b`. Names beyond
 * TG_SUGGEST_BYTES_MAX give TG_SUGGEST_BYTES_MAX.  @any */
uint32_t tg_suggest_distance(const char *a, const char *b);

/* The candidate nearest to `name`, or NULL when even that one is more than a third of its letters (at least one, two
 * from four letters on) away; then the first one that begins with `name` (three letters at least). Ties go to the
 * earlier one.  @any */
const char *tg_suggest(const char *name, uint32_t count, const char *const *candidates);

#endif
