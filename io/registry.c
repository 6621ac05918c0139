/* The rows: adding a connector is one line in one of these lists. */
#include "io/registry.h"

#include <string.h>

#include "base/assert.h"
#include "io/connectors.h"

enum { SOURCES = 3, SOURCES_MORE = 2 };
const struct tg_source_ops *tg_source_registry[SOURCES + SOURCES_MORE + 1] = {
    &tg_kafka_source,
    &tg_file_source,
    &tg_generate_source,
};

const struct tg_sink_ops *const tg_sink_registry[] = {
    &tg_cassandra_sink,
    &tg_kafka_sink,
    &tg_sqlite_sink,
    &tg_file_sink,
    &tg_console_sink,
    &tg_null_sink,
    NULL,
};

void tg_source_register(const struct tg_source_ops *ops)
{
    uint32_t place = 0;
    while (tg_source_registry[place] != NULL) { place++; }
    TG_ASSERT(place < SOURCES + SOURCES_MORE);
    tg_source_registry[place] = ops;
}

const struct tg_source_ops *tg_source_find(const char *name)
{
    for (uint32_t i = 0; tg_source_registry[i] != NULL; i++) {
        if (strcmp(tg_source_registry[i]->name, name) == 0) { return tg_source_registry[i]; }
    }
    return NULL;
}

const struct tg_sink_ops *tg_sink_find(const char *name)
{
    for (uint32_t i = 0; tg_sink_registry[i] != NULL; i++) {
        if (strcmp(tg_sink_registry[i]->name, name) == 0) { return tg_sink_registry[i]; }
    }
    return NULL;
}
