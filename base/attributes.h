/* Compiler attributes and the cache-line constant; nothing else. */
#ifndef TG_BASE_ATTRIBUTES_H
#define TG_BASE_ATTRIBUTES_H

#define TG_HOT __attribute__((hot))
#define TG_COLD __attribute__((cold, noinline))
#define TG_MUST_USE __attribute__((warn_unused_result))
#define TG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TG_LIKELY(x) __builtin_expect(!!(x), 1)
#define TG_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Two 64-byte lines: the adjacent-line prefetcher moves pairs, so one writer owns a pair. */
#define TG_LINE_PAIR 128

#endif
