/* Options of the Cassandra sink. */
#include "io/cassandra/settings.h"

const struct tg_option tg_cql_options[TG_CQL_OPTION_COUNT] = {
    {"hosts", TG_OPTION_LIST, true, NULL, NULL, "Contact points, host or host:port (port 9042 if none is given)."},
    {"table", TG_OPTION_TEXT, true, NULL, NULL, "Target as keyspace.table; mixed case is kept."},
    {"username", TG_OPTION_TEXT, false, NULL, NULL, "User for PasswordAuthenticator."},
    {"password", TG_OPTION_SECRET, false, NULL, NULL, "Password of that user."},
    {"consistency", TG_OPTION_CHOICE, false, "LOCAL_QUORUM",
     "ANY|ONE|TWO|THREE|QUORUM|ALL|LOCAL_QUORUM|EACH_QUORUM|LOCAL_ONE", "How many replicas acknowledge a write."},
    {"protocol", TG_OPTION_CHOICE, false, "auto", "auto|v5|v4", "Native protocol version; auto tries v5, then v4."},
    {"connections", TG_OPTION_INTEGER, false, "1", NULL, "Connections of each shard to each node, 1 to 8."},
    {"max_in_flight", TG_OPTION_INTEGER, false, "512", NULL, "Writes in flight on one connection, 1 to 1024."},
    {"max_pending", TG_OPTION_INTEGER, false, "65536", NULL,
     "Row keys of one shard that may wait for Cassandra; when all are taken the job reads no further."},
    {"max_pending_bytes", TG_OPTION_SIZE, false, "64MiB", NULL, "Likewise the bytes of their values."},
    {"request_timeout", TG_OPTION_DURATION, false, "5s", NULL,
     "When a write without answer is sent again; longer than the server's write_request_timeout."},
    {"flush_every", TG_OPTION_DURATION, false, "100ms", NULL,
     "How long a row waits for a newer revision of its key before it is written."},
    {"replication", TG_OPTION_TEXT, false, NULL, NULL,
     "Replication map of a keyspace that --create-tables creates; SimpleStrategy with factor 1 if none is given."},
    {"datacenter", TG_OPTION_TEXT, false, NULL, NULL,
     "Local data center; the one of the first node reached if none is given."},
    {"nulls", TG_OPTION_CHOICE, false, "erase", "erase|keep",
     "A null column erases what the table holds (a tombstone), or keeps it (unset)."},
};

/* In the order of the choices above. */
static const uint16_t consistency_codes[] = {0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0xA};

static tg_status bounded(const struct tg_options *options, const char *name, int64_t low, int64_t high, int64_t *out,
                         struct tg_error *err)
{
    *out = tg_option_number(options, name);
    if (*out >= low && *out <= high) { return TG_OK; }
    return tg_fail(err, TG1004, 0, "cassandra %s is %lld, allowed are %lld to %lld", name, (long long)*out,
                   (long long)low, (long long)high);
}

static tg_status read_numbers(struct tg_cql_settings *s, const struct tg_options *options, struct tg_error *err)
{
    static const struct {
        const char *name;
        int64_t low;
        int64_t high;
    } ranges[] = {{"connections", 1, 8},          {"max_in_flight", 1, 1024},
                  {"max_pending", 16, 16 << 20},  {"max_pending_bytes", 1 << 16, INT64_C(64) << 30},
                  {"request_timeout", 1000, INT64_C(3600000000)}, {"flush_every", 0, INT64_C(3600000000)}};
    enum { COUNT = sizeof ranges / sizeof ranges[0] };
    int64_t values[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        const tg_status status = bounded(options, ranges[i].name, ranges[i].low, ranges[i].high, &values[i], err);
        if (status != TG_OK) { return status; }
    }
    s->connections_per_node = (uint32_t)values[0];
    s->in_flight_max = (uint32_t)values[1];
    s->pending_max = (uint32_t)values[2];
    s->pending_bytes = (uint64_t)values[3];
    s->request_timeout_ns = (uint64_t)values[4] * 1000;
    s->flush_every_ns = (uint64_t)values[5] * 1000;
    return TG_OK;
}

tg_status tg_cql_settings_read(struct tg_cql_settings *s, const struct tg_options *options, struct tg_error *err)
{
    static const enum tg_cql_version versions[] = {TG_CQL_VERSION_AUTO, TG_CQL_V5, TG_CQL_V4};
    *s = (struct tg_cql_settings){0};
    const struct tg_option_value *hosts = tg_option(options, "hosts");
    s->host_count = hosts->count;
    s->hosts = hosts->texts;
    s->username = tg_option_text(options, "username");
    s->password = tg_option_text(options, "password");
    s->datacenter = tg_option_text(options, "datacenter");
    s->replication = tg_option_text(options, "replication");
    s->consistency = consistency_codes[tg_option_number(options, "consistency")];
    s->version = versions[tg_option_number(options, "protocol")];
    s->nulls_unset = tg_option_number(options, "nulls") == 1;
    const tg_status status = tg_cql_target_parse(&s->target, tg_option_text(options, "table"), err);
    return status != TG_OK ? status : read_numbers(s, options, err);
}

struct tg_cql_connection_config tg_cql_settings_connection(const struct tg_cql_settings *s)
{
    return (struct tg_cql_connection_config){
        .username = s->username,
        .password = s->password,
        .version = s->version,
        .consistency = s->consistency,
        .in_flight_max = s->in_flight_max,
        .request_timeout_ns = s->request_timeout_ns,
    };
}
