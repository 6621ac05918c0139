/* A blocking conversation with one node, for set-up only: a connection with a loop and memory of its own. */
#ifndef TG_IO_CASSANDRA_SESSION_H
#define TG_IO_CASSANDRA_SESSION_H

#include "io/cassandra/rows.h"
#include "io/cassandra/settings.h"

struct tg_cql_session {
    struct tg_arena arena;
    struct tg_loop *loop;
    struct tg_cql_connection connection;
    struct tg_clock clock;
};

/* Connect to the first of the contact points that lets us in. Errors: TG1301 (none answers by deadline_ns), TG1302.
 * @setup */
TG_MUST_USE tg_status tg_cql_session_open(struct tg_cql_session *session, const struct tg_cql_settings *settings,
                                          struct tg_clock clock, uint64_t deadline_ns, struct tg_error *err);
/* Run one statement, waiting at most 30 s. *envelope is valid until the next call. An ERROR answer is TG1303 with the
 * node's text, TG1301 when it may answer otherwise later; a lost connection is TG1301.  @setup */
TG_MUST_USE tg_status tg_cql_session_query(struct tg_cql_session *session, const char *cql,
                                           struct tg_cql_envelope *envelope, struct tg_error *err);
/* Sleep, keeping the connection.  @setup */
void tg_cql_session_nap(struct tg_cql_session *session, uint64_t ns);
/* Also after a failed open.  @setup */
void tg_cql_session_close(struct tg_cql_session *session);

#endif
