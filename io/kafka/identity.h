/* The answer of a Kafka source to `identify`. */
#ifndef TG_IO_KAFKA_IDENTITY_H
#define TG_IO_KAFKA_IDENTITY_H

#include "io/kafka/client.h"
#include "io/source.h"

/* Fill in *log for the topic of setup->options, waiting until the monotonic instant `deadline_ns`. A topic that is
 * unknown may appear until then: a broker that has just started does not know its own. Errors: TG1201 unreachable, or
 * nobody leads a partition; TG1203; TG1204; TG1206.  @setup */
TG_MUST_USE tg_status tg_kafka_identify(const struct tg_kafka_setup *setup, uint64_t deadline_ns,
                                        struct tg_source_log *log, struct tg_error *err);

#endif
