/* What the job file says about a Cassandra sink, read once. */
#ifndef TG_IO_CASSANDRA_SETTINGS_H
#define TG_IO_CASSANDRA_SETTINGS_H

#include "io/cassandra/cluster.h"
#include "io/sink.h"

struct tg_cql_settings {
    struct tg_cql_target target;
    uint32_t host_count;
    const char *const *hosts;
    const char *username; /* NULL = none */
    const char *password;
    const char *datacenter;
    const char *replication; /* text of the map, NULL = default */
    uint16_t consistency;    /* code on the wire */
    enum tg_cql_version version;
    uint32_t connections_per_node;
    uint32_t in_flight_max;
    uint32_t pending_max;
    uint64_t pending_bytes;
    uint64_t request_timeout_ns;
    uint64_t flush_every_ns;
    bool nulls_unset;
};

enum { TG_CQL_OPTION_COUNT = 15 };
extern const struct tg_option tg_cql_options[TG_CQL_OPTION_COUNT];

/* Errors: TG1004.  @setup */
TG_MUST_USE tg_status tg_cql_settings_read(struct tg_cql_settings *settings, const struct tg_options *options,
                                           struct tg_error *err);
/* Configuration of each connection; `loop`, `statement` and `seed` are the caller's to set.  @setup */
struct tg_cql_connection_config tg_cql_settings_connection(const struct tg_cql_settings *settings);

/* sink.check: defined in check.c.  @setup */
tg_status tg_cql_check(const struct tg_sink_env *env, uint64_t deadline_ns, struct tg_error *err);

#endif
