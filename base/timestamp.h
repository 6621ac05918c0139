/* RFC 3339 and calendar arithmetic (proleptic Gregorian, H. Hinnant's days_from_civil), microseconds since 1970 UTC. */
#ifndef TG_BASE_TIMESTAMP_H
#define TG_BASE_TIMESTAMP_H

#include "base/status.h"
#include "base/types.h"

/* A time zone for stamps without one. */
struct tg_zone;

/* Load `name` ("UTC", "+02:00", "Asia/Seoul" from the system's tz database). Errors: TG1004.  @setup */
TG_MUST_USE tg_status tg_zone_open(struct tg_zone **zone, const char *name, struct tg_error *err);
void tg_zone_close(struct tg_zone *zone);
/* Instant of local wall time `local_us` (microseconds since 1970 as if the wall time were UTC). In a gap or overlap the
 * offset in force before the transition applies and *adjusted is set.  @any */
int64_t tg_zone_to_utc(const struct tg_zone *zone, int64_t local_us, bool *adjusted);

/* Parse text of RFC 3339: `T`, `t` or one space between date and time, 1 to 9 fraction digits (beyond 6 cut), zone Z,
 * z, +hh:mm, -hh:mm or none (then `zone`; NULL = UTC). Years 0001 to 9999, in the text and in UTC: what is accepted can
 * be written again. Refused: :60, 24:00, impossible dates, 10 or more fraction digits, anything before or after.
 * *adjusted (may be NULL) as above. Returns false when refused; *out may then hold anything.
 * The layouts of 20, 24 and 27 bytes ending in Z are the fast path.  @any */
TG_HOT TG_MUST_USE bool tg_ts_parse(const char *text, uint32_t bytes, const struct tg_zone *zone, tg_ts *out,
                                    bool *adjusted);

enum { TG_TS_TEXT_BYTES = 40, TG_DATE_TEXT_BYTES = 16 };
/* RFC 3339 UTC with the fewest of 0, 3, 6 fraction digits that are exact; returns the length, no terminator.  @any */
uint32_t tg_ts_format(tg_ts ts, char out[TG_TS_TEXT_BYTES]);

/* `YYYY-MM-DD`.  @any */
TG_MUST_USE bool tg_date_parse(const char *text, uint32_t bytes, tg_date *out);
uint32_t tg_date_format(tg_date date, char out[TG_DATE_TEXT_BYTES]);

/* Durations as the job file writes them: `250ms`, `30s`, `5m`, `24h`, `30d`, `10us`, 0, combined `1h30m`.  @any */
TG_MUST_USE bool tg_duration_parse(const char *text, tg_us *out);
/* The shortest such text ("5m", "1h30m", "250ms"); returns out.  @any */
char *tg_duration_format(tg_us us, char out[32]);

#endif
