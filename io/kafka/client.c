/* Configuration, callbacks and codes of a client. Secrets: a value of the client map never reaches a message; where
 * librdkafka's own text would quote it, the text is left out. */
#include "io/kafka/client.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

/* Settings that are turgo's, and what to use in their place. */
static const struct tg_kafka_setting refused[] = {
    {"bootstrap.servers", "use brokers"},
    {"metadata.broker.list", "use brokers"},
    {"group.id", "use group"},
    {"auto.offset.reset", "use start; later a missing offset must stop the job, not skip records"},
    {"enable.auto.commit", "turgo commits what has taken effect, not what was read"},
    {"enable.auto.offset.store", "turgo commits what has taken effect, not what was read"},
    {"auto.commit.enable", "turgo commits what has taken effect, not what was read"},
    {"enable.partition.eof", "the end of a partition is how turgo knows that it is idle"},
    {"isolation.level", "records of open or aborted transactions are never read"},
    {"partition.assignment.strategy", "turgo assigns partitions to shards itself"},
    {"allow.auto.create.topics", "a misspelt topic must be an error"},
    {"check.crcs", "use check_crcs"},
    {"queued.min.messages", "use queue_bytes"},
    {"queued.max.messages.kbytes", "use queue_bytes"},
    {"fetch.message.max.bytes", "use fetch_bytes"},
    {"max.partition.fetch.bytes", "use fetch_bytes"},
    {"sasl.password", "use password, which stays out of logs and dumps"},
    {"enable.idempotence", "the sink is idempotent, or retries would write rows twice"},
    {"acks", "the sink waits for all replicas"},
    {"request.required.acks", "the sink waits for all replicas"},
    {"partitioner", "equal keys go where every other Kafka client puts them (murmur2)"},
    {"message.timeout.ms", "the sink never gives a row up"},
    {"delivery.timeout.ms", "the sink never gives a row up"},
    {"retries", "the sink never gives a row up"},
    {"message.send.max.retries", "the sink never gives a row up"},
    {"transactional.id", "the sink is at-least-once"},
    {"log.queue", "turgo routes the client's log"},
};

static const char *setting_of(const struct tg_kafka_setting *settings, const char *name)
{
    for (; settings != NULL && settings->name != NULL; settings++) {
        if (strcmp(settings->name, name) == 0) { return settings->value; }
    }
    return NULL;
}

static const char *refusal_of(const char *name)
{
    for (uint32_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(refused[i].name, name) == 0) { return refused[i].value; }
    }
    return NULL;
}

/* Names of settings whose values must not be quoted. */
static bool is_secret(const char *name)
{
    static const char *const marks[] = {"password", "secret", "pem", "key", "token", "oauthbearer", "jaas", "config"};
    for (uint32_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (strstr(name, marks[i]) != NULL) { return true; }
    }
    return false;
}

/* A text of librdkafka without the broker in front and the timings behind: "Connect to ... failed: Connection refused".
 */
static void keep_reason(struct tg_kafka_client *client, const char *text)
{
    const char *from = strstr(text, ": ");
    from = from == NULL ? text : from + 2;
    const char *to = strstr(from, " (after ");
    const size_t bytes = to == NULL ? strlen(from) : (size_t)(to - from);
    (void)snprintf(client->reason, sizeof client->reason, "%.*s", (int)(bytes < 400 ? bytes : 400), from);
}

/* ---- callbacks --------------------------------------------------------------------------------------------------- */

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
    struct tg_kafka_client *client = opaque;
    rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)code;
    char fatal_text[TG_KAFKA_TEXT_BYTES];
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        err = rd_kafka_fatal_error(rk, fatal_text, sizeof fatal_text);
        text = fatal_text;
        client->fatal = true;
    }
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        tg_kafka_client_waiting(client, client->reason[0] != '\0' ? client->reason : "no broker is reachable");
        return;
    }
    if (client->fatal && tg_kafka_is_authentication(client->error)) { return; } /* the first one names the cause */
    client->error = err;
    keep_reason(client, text);
    if (tg_kafka_is_authentication(err)) { client->fatal = true; }
    if (client->down && !client->fatal) { tg_kafka_client_waiting(client, client->reason); }
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    enum { SYSLOG_WARNING = 4 };
    struct tg_kafka_client *client = rd_kafka_opaque(rk);
    uint64_t suppressed = 0;
    /* Connection failures come through on_error as well. */
    if (client->quiet || level > SYSLOG_WARNING || strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0) {
        return;
    }
    if (!tg_log_allowed(&client->noise_limit, client->now_ns, &suppressed)) { return; }
    tg_log(TG_LOG_WARN, TG_CODE_NONE, client->shard, NULL, "%s: Kafka client: %s %s (%llu more)", client->block,
           facility, text, (unsigned long long)suppressed);
}

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    (void)rk;
    (void)offsets;
    struct tg_kafka_client *client = opaque;
    if (client->on_commit != NULL) { client->on_commit(client->owner, err); }
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct tg_kafka_client *client = opaque;
    if (client->on_delivery != NULL) { client->on_delivery(client->owner, message); }
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static tg_status set_one(const struct tg_kafka_client *client, rd_kafka_conf_t *conf, const char *name,
                         const char *value, struct tg_error *err)
{
    char text[TG_KAFKA_TEXT_BYTES];
    switch (rd_kafka_conf_set(conf, name, value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK: return TG_OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return tg_fail(err, TG1202, 0, "%s.client: the Kafka client has no setting \"%s\"", client->block, name);
    case RD_KAFKA_CONF_INVALID: break;
    }
    /* The client's text quotes the value. */
    return tg_fail(err, TG1202, 0, "%s.client: the Kafka client refuses the value of \"%s\"%s%s", client->block, name,
                   is_secret(name) ? "" : ": ", is_secret(name) ? "" : text);
}

static tg_status set_map(const struct tg_kafka_client *client, const struct tg_kafka_setup *setup,
                         rd_kafka_conf_t *conf, struct tg_error *err)
{
    const struct tg_option_value *map = tg_option(setup->options, "client");
    for (uint32_t i = 0; map->is_set && i < map->count; i++) {
        const char *why = refusal_of(map->names[i]);
        if (why == NULL && setting_of(setup->fixed, map->names[i]) != NULL) { why = "turgo sets it"; }
        if (why != NULL) {
            return tg_fail(err, TG1202, 0, "%s.client: \"%s\" cannot be set: %s", client->block, map->names[i], why);
        }
        const tg_status status = set_one(client, conf, map->names[i], map->texts[i], err);
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

static tg_status set_list(const struct tg_kafka_client *client, const struct tg_kafka_setting *settings,
                          rd_kafka_conf_t *conf, struct tg_error *err)
{
    for (; settings != NULL && settings->name != NULL; settings++) {
        const tg_status status = set_one(client, conf, settings->name, settings->value, err);
        if (status != TG_OK) { return status; }
    }
    return TG_OK;
}

static tg_status read_brokers(struct tg_kafka_client *client, const struct tg_kafka_setup *setup, struct tg_error *err)
{
    const struct tg_option_value *brokers = tg_option(setup->options, "brokers");
    size_t used = 0;
    for (uint32_t i = 0; brokers->is_set && i < brokers->count; i++) {
        const int bytes = snprintf(client->brokers + used, sizeof client->brokers - used, "%s%s", i == 0 ? "" : ",",
                                   brokers->texts[i]);
        used += (size_t)bytes;
        if (used >= sizeof client->brokers) {
            return tg_fail(err, TG1004, 0, "%s.brokers is longer than %zu bytes", client->block,
                           sizeof client->brokers);
        }
    }
    if (used == 0) {
        return tg_fail(err, TG1003, 0,
                       "%s.brokers is missing: set it, e.g. brokers: \"${KAFKA_BROKERS:?set "
                       "KAFKA_BROKERS}\", or choose a profile that needs no Kafka (--profile dev)",
                       client->block);
    }
    client->brokers_origin = brokers->origin;
    return TG_OK;
}

static tg_status configure(struct tg_kafka_client *client, const struct tg_kafka_setup *setup, rd_kafka_conf_t *conf,
                           struct tg_error *err)
{
    const char *password = tg_option_text(setup->options, "password");
    const struct tg_kafka_setting own[] = {
        {"bootstrap.servers", client->brokers},
        {"log.queue", "true"},
        {password == NULL ? NULL : "sasl.password", password},
        {NULL, NULL},
    };
    tg_status status = set_list(client, own, conf, err);
    if (status == TG_OK) { status = set_list(client, setup->defaults, conf, err); }
    if (status == TG_OK) { status = set_map(client, setup, conf, err); }
    if (status == TG_OK) { status = set_list(client, setup->fixed, conf, err); }
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (setup->producer) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    } else {
        rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    }
    return status;
}

tg_status tg_kafka_client_open(struct tg_kafka_client *client, const struct tg_kafka_setup *setup, struct tg_error *err)
{
    *client = (struct tg_kafka_client){.shard = setup->shard, .quiet = setup->quiet};
    (void)snprintf(client->block, sizeof client->block, setup->name == NULL ? "%s" : "%s.%s.kafka", setup->kind,
                   setup->name);
    tg_status status = read_brokers(client, setup, err);
    if (status != TG_OK) { return status; }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    status = configure(client, setup, conf, err);
    if (status != TG_OK) { goto destroy_conf; }
    char text[TG_KAFKA_TEXT_BYTES];
    client->rk = rd_kafka_new(setup->producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client->rk == NULL) {
        status = tg_fail(err, TG1202, 0, "%s: the Kafka client refuses its settings: %s", client->block, text);
        goto destroy_conf;
    }
    (void)rd_kafka_set_log_queue(client->rk, NULL); /* log lines wait in the main queue for the serving thread */
    return TG_OK;

destroy_conf:
    rd_kafka_conf_destroy(conf); /* rd_kafka_new takes it over only when it succeeds */
    return status;
}

static void *destroy(void *rk)
{
    /* No close of a consumer: it never joined a group, so there is nobody to tell. */
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

/* When a topic that was read is gone, librdkafka 2.0.2 waits for one of its own threads for ever: that thread serves
 * the leader of the lost partitions until nobody refers to it, and they still do. So somebody else waits, and we for
 * him, for a bounded time. What is left behind calls nobody, since nobody serves its queues, and ends with the process.
 */
void tg_kafka_client_close(struct tg_kafka_client *client)
{
    enum { WAIT_S = 3 };
    pthread_t thread;
    struct timespec until;
    if (client->rk == NULL) { return; }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    if (pthread_create(&thread, NULL, destroy, client->rk) == 0 &&
        pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        (void)pthread_detach(thread);
    }
    client->rk = NULL;
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

void tg_kafka_client_waiting(struct tg_kafka_client *client, const char *reason)
{
    uint64_t suppressed = 0;
    client->down = true;
    client->drained = false;
    if (client->quiet || !tg_log_allowed(&client->down_limit, client->now_ns, &suppressed)) { return; }
    tg_log(TG_LOG_WARN, TG2201, client->shard, NULL, "%s: waiting for Kafka at %s (%s)", client->block, client->brokers,
           reason);
}

void tg_kafka_client_alive(struct tg_kafka_client *client)
{
    if (TG_LIKELY(!client->down) || !client->drained) { return; }
    client->down = false;
    client->reason[0] = '\0';
    if (client->quiet) { return; }
    tg_log(TG_LOG_INFO, TG_CODE_NONE, client->shard, NULL, "%s: Kafka is back", client->block);
}

bool tg_kafka_is_authentication(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
           err == RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM || err == RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE;
}

bool tg_kafka_is_missing(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

bool tg_kafka_is_transient(rd_kafka_resp_err_t err)
{
    switch ((int)err) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__SSL: /* a broker that goes down during the handshake */
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__WAIT_CACHE:
    case RD_KAFKA_RESP_ERR__IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__DESTROY: /* a connection that went away under a request */
    case RD_KAFKA_RESP_ERR__RETRY:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR: /* one replica's disk; the leader moves */
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED: return true;
    default: return false;
    }
}

tg_status tg_kafka_client_failure(const struct tg_kafka_client *client, struct tg_error *err)
{
    TG_ASSERT(client->fatal);
    if (tg_kafka_is_authentication(client->error)) {
        return tg_fail(err, TG1204, 0,
                       "Kafka authentication failed at %s: %s\n  %s: check client (security.protocol, "
                       "sasl.mechanism, sasl.username) and password",
                       client->brokers, client->reason, client->block);
    }
    return tg_fail(err, TG1206, 0, "%s: the Kafka client cannot go on: %s (%s)", client->block, client->reason,
                   rd_kafka_err2name(client->error));
}
