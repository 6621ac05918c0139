/* Values as plain text, without quotes: what SQLite columns, table cells and digests share. */
#ifndef TG_IO_VALUE_TEXT_H
#define TG_IO_VALUE_TEXT_H

#include "base/schema.h"

enum { TG_VALUE_TEXT_BYTES = 64 };

/* Canonical text of a value that is not null: texts and json as they are, integers decimal, booleans true and false,
 * timestamps and dates as RFC 3339, decimals with their scale, enums by name. Points into the value, the schema or
 * `scratch`.  @any */
tg_text tg_value_text(const struct tg_column *column, const void *value, char scratch[TG_VALUE_TEXT_BYTES]);

#endif
