/* Amounts as people read them: three or four digits and a unit. */
#ifndef TG_ENGINE_AMOUNTS_H
#define TG_ENGINE_AMOUNTS_H

#include <stdint.h>

enum { TG_AMOUNT_BYTES = 24 };

/* "9999", "12.40k", "1.03M"; returns out.  @any */
const char *tg_count_text(double value, char out[TG_AMOUNT_BYTES]);
/* "850us", "3.1ms", "12.0s"; returns out.  @any */
const char *tg_time_text(uint64_t ns, char out[TG_AMOUNT_BYTES]);
/* "71KiB", "48.0MiB"; returns out.  @any */
const char *tg_bytes_text(int64_t bytes, char out[TG_AMOUNT_BYTES]);

#endif
