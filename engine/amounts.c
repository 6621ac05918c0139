#include "engine/amounts.h"

#include <inttypes.h>
#include <stdio.h>

const char *tg_count_text(double value, char out[TG_AMOUNT_BYTES])
{
    const char *unit = "";
    if (value >= 1e9) {
        value /= 1e9;
        unit = "G";
    } else if (value >= 1e6) {
        value /= 1e6;
        unit = "M";
    } else if (value >= 1e4) {
        value /= 1e3;
        unit = "k";
    }
    (void)snprintf(out, TG_AMOUNT_BYTES, *unit != '\0' ? "%.2f%s" : "%.0f%s", value, unit);
    return out;
}

const char *tg_time_text(uint64_t ns, char out[TG_AMOUNT_BYTES])
{
    if (ns >= 10000000000u) {
        (void)snprintf(out, TG_AMOUNT_BYTES, "%.1fs", (double)ns / 1e9);
    } else if (ns >= 1000000) {
        (void)snprintf(out, TG_AMOUNT_BYTES, "%.1fms", (double)ns / 1e6);
    } else {
        (void)snprintf(out, TG_AMOUNT_BYTES, "%.0fus", (double)ns / 1e3);
    }
    return out;
}

const char *tg_bytes_text(int64_t bytes, char out[TG_AMOUNT_BYTES])
{
    if (bytes >= 1 << 30) {
        (void)snprintf(out, TG_AMOUNT_BYTES, "%.1fGiB", (double)bytes / (1 << 30));
    } else if (bytes >= 1 << 20) {
        (void)snprintf(out, TG_AMOUNT_BYTES, "%.1fMiB", (double)bytes / (1 << 20));
    } else {
        (void)snprintf(out, TG_AMOUNT_BYTES, "%" PRId64 "KiB", bytes >> 10);
    }
    return out;
}
