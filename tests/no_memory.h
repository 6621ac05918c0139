/* From here on the process gets no more than so many bytes of address space: what reserves memory fails. Not under
 * AddressSanitizer, which needs some itself. */
#ifndef TG_TESTS_NO_MEMORY_H
#define TG_TESTS_NO_MEMORY_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define TG_TESTS_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define TG_TESTS_ADDRESS_SANITIZER 1
#endif

/* False: not here. */
static inline bool no_memory_above(size_t more_bytes)
{
#ifdef TG_TESTS_ADDRESS_SANITIZER
    (void)more_bytes;
    return false;
#else
    unsigned long pages = 0;
    FILE *in = fopen("/proc/self/statm", "r");
    if (in == NULL || fscanf(in, "%lu", &pages) != 1) { return false; }
    (void)fclose(in);
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0) { return false; }
    limit.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + more_bytes;
    return setrlimit(RLIMIT_AS, &limit) == 0;
#endif
}
static inline void memory_again(void)
{
    struct rlimit limit;
    (void)getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_AS, &limit);
}

#endif
