/* Exact decimals: 128-bit integers scaled by 10^scale, |value| < 10^38. Never through a double. */
#ifndef TG_BASE_DECIMAL_H
#define TG_BASE_DECIMAL_H

#include "base/attributes.h"
#include "base/types.h"

enum tg_dec_outcome { TG_DEC_OK, TG_DEC_SCALE, TG_DEC_RANGE, TG_DEC_SYNTAX };

/* Parse a JSON number lexeme by value into `scale` digits: 5.000 and 50e-1 fit scale 2, 5.005 is TG_DEC_SCALE unless
 * `round` (HALF_EVEN). |scaled value| >= 10^38 or >= 10^precision is TG_DEC_RANGE. precision 1 to 38.  @any */
TG_HOT TG_MUST_USE enum tg_dec_outcome tg_dec_parse(const char *lexeme, uint32_t bytes, uint8_t precision,
                                                    uint8_t scale, bool round, tg_dec *out);
enum { TG_DEC_TEXT_BYTES = 48 };
/* Text with exactly `scale` fraction digits ("-0.05", "75.00"); returns the length, no terminator.  @any */
uint32_t tg_dec_format(tg_dec value, uint8_t scale, char out[TG_DEC_TEXT_BYTES]);
/* a + b; false when |result| >= 10^38.  @any */
TG_MUST_USE bool tg_dec_add(tg_dec a, tg_dec b, tg_dec *out);
/* numerator / denominator at the same scale in, `scale_out - scale_in` more digits out, HALF_EVEN; denominator > 0;
 * false on overflow.  @any */
TG_MUST_USE bool tg_dec_divide(tg_dec numerator, int64_t denominator, uint8_t scale_in, uint8_t scale_out, tg_dec *out);

#endif
