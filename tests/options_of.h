/* Options of a connector as a test wants them: "name", "value", ..., NULL over the connector's own table, fallbacks
 * applied. Values are read as the job loader reads them, as far as tests need it; maps are "a=b,c=d", lists "a,b". */
#ifndef TG_TESTS_OPTIONS_OF_H
#define TG_TESTS_OPTIONS_OF_H

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/timestamp.h"
#include "io/options.h"

enum { TG_TEST_OPTIONS_MAX = 40, TG_TEST_ENTRIES_MAX = 16 };

struct tg_test_options {
    struct tg_options options;
    struct tg_option_value values[TG_TEST_OPTIONS_MAX];
    const char *names[TG_TEST_OPTIONS_MAX][TG_TEST_ENTRIES_MAX];
    const char *texts[TG_TEST_OPTIONS_MAX][TG_TEST_ENTRIES_MAX];
    char storage[8192];
    size_t used;
};

static inline char *tg_test_copy(struct tg_test_options *test, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    TG_ASSERT(test->used + bytes <= sizeof test->storage);
    char *copy = memcpy(test->storage + test->used, text, bytes);
    test->used += bytes;
    return copy;
}

/* "64KiB", "10k/s", "2M", "4096". */
static inline int64_t tg_test_scaled(const char *text)
{
    char *end;
    const int64_t value = strtoll(text, &end, 10);
    if (strncmp(end, "KiB", 3) == 0) { return value << 10; }
    if (strncmp(end, "MiB", 3) == 0) { return value << 20; }
    if (*end == 'k') { return value * 1000; }
    return *end == 'M' ? value * 1000000 : value;
}

static inline int64_t tg_test_choice(const char *choices, const char *text)
{
    int64_t index = 0;
    const size_t bytes = strlen(text);
    for (const char *at = choices; at != NULL; at = strchr(at, '|') == NULL ? NULL : strchr(at, '|') + 1) {
        if (strncmp(at, text, bytes) == 0 && (at[bytes] == '|' || at[bytes] == '\0')) { return index; }
        index++;
    }
    abort(); /* no such choice */
}

static inline void tg_test_entries(struct tg_test_options *test, uint32_t index, const char *text)
{
    struct tg_option_value *value = &test->values[index];
    char *save = NULL;
    for (char *part = strtok_r(tg_test_copy(test, text), ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        TG_ASSERT(value->count < TG_TEST_ENTRIES_MAX);
        char *equals = test->options.table[index].kind == TG_OPTION_MAP ? strchr(part, '=') : NULL;
        if (equals != NULL) { *equals = '\0'; }
        test->names[index][value->count] = part;
        test->texts[index][value->count] = equals == NULL ? part : equals + 1;
        value->count++;
    }
    value->names = test->names[index];
    value->texts = test->texts[index];
}

static inline void tg_test_option_set(struct tg_test_options *test, const char *name, const char *text)
{
    uint32_t index = 0;
    while (index < test->options.count && strcmp(test->options.table[index].name, name) != 0) { index++; }
    TG_ASSERT(index < test->options.count);
    struct tg_option_value *value = &test->values[index];
    *value = (struct tg_option_value){.is_set = true, .text = tg_test_copy(test, text), .origin = "test"};
    switch (test->options.table[index].kind) {
    case TG_OPTION_TEXT:
    case TG_OPTION_SECRET: break;
    case TG_OPTION_NUMBER: value->number = (int64_t)(strtod(text, NULL) * 1e6 + 0.5); break;
    case TG_OPTION_BOOLEAN: value->number = strcmp(text, "true") == 0; break;
    case TG_OPTION_DURATION: TG_ASSERT(tg_duration_parse(text, &value->number)); break;
    case TG_OPTION_INTEGER:
    case TG_OPTION_SIZE:
    case TG_OPTION_RATE: value->number = tg_test_scaled(text); break;
    case TG_OPTION_CHOICE: value->number = tg_test_choice(test->options.table[index].choices, text); break;
    case TG_OPTION_MAP:
    case TG_OPTION_LIST: tg_test_entries(test, index, text); break;
    }
}

/* Fill *test; the arguments after the table are pairs of strings ended by NULL. */
static inline const struct tg_options *tg_test_options(struct tg_test_options *test, const struct tg_option *table,
                                                       uint32_t count, ...)
{
    TG_ASSERT(count <= TG_TEST_OPTIONS_MAX);
    memset(test, 0, sizeof *test);
    test->options = (struct tg_options){.table = table, .values = test->values, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        if (table[i].fallback != NULL) { tg_test_option_set(test, table[i].name, table[i].fallback); }
    }
    va_list arguments;
    va_start(arguments, count);
    for (const char *name = va_arg(arguments, const char *); name != NULL; name = va_arg(arguments, const char *)) {
        tg_test_option_set(test, name, va_arg(arguments, const char *));
    }
    va_end(arguments);
    return &test->options;
}

#endif
