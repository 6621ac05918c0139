/* The seed of a randomised test: TG_SEED when set, else the clock; printed so that a failure replays exactly. */
#ifndef TG_TESTS_SEED_H
#define TG_TESTS_SEED_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t tg_test_seed(void)
{
    const char *text = getenv("TG_SEED");
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t clock_seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : clock_seed;
    (void)fprintf(stderr, "seed %" PRIu64 "\n", seed);
    return seed;
}

#endif
