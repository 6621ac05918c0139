/* Seeded pseudo-random numbers: splitmix64 (Steele, Lea, Flood, OOPSLA 2014). Not for secrets. */
#ifndef TG_BASE_PRNG_H
#define TG_BASE_PRNG_H

#include <stdint.h>

struct tg_prng {
    uint64_t state; /* the seed */
};

/* The next 64 bits.  @any */
static inline uint64_t tg_prng_next(struct tg_prng *prng)
{
    uint64_t z = (prng->state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}
/* 0 to below - 1, from the high bits; below >= 1.  @any */
static inline uint32_t tg_prng_below(struct tg_prng *prng, uint32_t below)
{
    return (uint32_t)(((tg_prng_next(prng) >> 32) * (uint64_t)below) >> 32);
}

#endif
