/* One golden: what is changed in the fixture, and what the loader prints about it. */
#ifndef TG_TESTS_UNIT_ENGINE_CONFIG_GOLDEN_H
#define TG_TESTS_UNIT_ENGINE_CONFIG_GOLDEN_H

#include <stdint.h>

struct golden {
    const char *name;
    uint32_t line; /* of the fixture; 0 = none is replaced */
    const char *replacement;
    const char *tail;
    const char *profile;
    const char *set;
    const char *expected;
};

#endif
