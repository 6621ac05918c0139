/* The ops of every connector; each is defined in its own folder under io/. */
#ifndef TG_IO_CONNECTORS_H
#define TG_IO_CONNECTORS_H

#include "io/sink.h"
#include "io/source.h"

extern const struct tg_source_ops tg_kafka_source;
extern const struct tg_source_ops tg_file_source;
extern const struct tg_source_ops tg_generate_source;

extern const struct tg_sink_ops tg_cassandra_sink;
extern const struct tg_sink_ops tg_kafka_sink;
extern const struct tg_sink_ops tg_sqlite_sink;
extern const struct tg_sink_ops tg_file_sink;
extern const struct tg_sink_ops tg_console_sink;
extern const struct tg_sink_ops tg_null_sink;

#endif
