/* Days since 1970-01-01 to and from year, month and day of the proleptic Gregorian calendar, without branches or loops:
 * C. Neri and L. Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022), over
 * H. Hinnant's computational year, which starts on 1 March so that the leap day comes last. */
#ifndef TG_BASE_CIVIL_H
#define TG_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

/* Days from 0000-03-01 to 1970-01-01. */
enum { TG_CIVIL_EPOCH_DAYS = 719468, TG_CIVIL_CYCLE_DAYS = 146097, TG_CIVIL_CYCLE_YEARS = 400 };

struct tg_civil {
    int64_t year;
    uint32_t month; /* 1 to 12 */
    uint32_t day;   /* 1 to 31 */
};

/* year 1 to 9999, month 1 to 12, day 1 to 31; a day past the month's end counts on into the next month.  @any */
static inline int32_t tg_civil_to_days(uint32_t year, uint32_t month, uint32_t day)
{
    const uint32_t winter = month <= 2;
    const uint32_t y = year - winter;
    const uint32_t m = month + 12 * winter; /* 3 to 14 */
    const uint32_t century = y / 100;
    const uint32_t days = 1461 * y / 4 - century + century / 4 + (979 * m - 2919) / 32 + day - 1;
    return (int32_t)days - TG_CIVIL_EPOCH_DAYS;
}

/* Any day whose year fits; floor semantics below year 0.  @any */
static inline struct tg_civil tg_civil_from_days(int64_t days)
{
    const int64_t shifted = days + TG_CIVIL_EPOCH_DAYS;
    const int64_t cycle = (shifted >= 0 ? shifted : shifted - (TG_CIVIL_CYCLE_DAYS - 1)) / TG_CIVIL_CYCLE_DAYS;
    const uint32_t n1 = 4 * (uint32_t)(shifted - cycle * TG_CIVIL_CYCLE_DAYS) + 3;
    const uint32_t century = n1 / TG_CIVIL_CYCLE_DAYS;
    const uint32_t n2 = (n1 % TG_CIVIL_CYCLE_DAYS) | 3;
    const uint64_t p2 = (uint64_t)2939745 * n2; /* 2^32 / 1461, rounded up */
    const uint32_t year = (uint32_t)(p2 >> 32);
    const uint32_t day_of_year = (uint32_t)(p2 & UINT32_MAX) / 2939745 / 4;
    const uint32_t n3 = 2141 * day_of_year + 197913;
    const uint32_t winter = day_of_year >= 306; /* January and February end the computational year */
    return (struct tg_civil){
        .year = cycle * TG_CIVIL_CYCLE_YEARS + 100 * century + year + winter,
        .month = (n3 >> 16) - 12 * winter,
        .day = (n3 & 0xFFFF) / 2141 + 1,
    };
}

/* @any */
static inline bool tg_civil_is_leap(uint32_t year)
{
    return (year & 3) == 0 && (year % 25 != 0 || (year & 15) == 0);
}

/* Days of a month, 1 to 12.  @any */
static inline uint32_t tg_civil_month_days(uint32_t year, uint32_t month)
{
    if (month == 2) { return 28 + (uint32_t)tg_civil_is_leap(year); }
    return 30 + ((month + (month >> 3)) & 1);
}

#endif
