/* The seed of randomised tests: TG_SEED when set, else the clock; printed so that a failure can be replayed exactly. */
#ifndef TG_TESTS_SEED_H
#define TG_TESTS_SEED_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t tg_test_seed(void)
{
    const char *given = getenv("TG_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                        : (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec;
    (void)fprintf(stderr, "seed %" PRIu64 "\n", seed);
    return seed;
}

#endif
