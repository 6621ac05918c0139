/* The requests a connection makes for itself: handshake, authentication, PREPARE, heartbeat. Private to connection.c
 * and handshake.c. */
#ifndef TG_IO_CASSANDRA_HANDSHAKE_H
#define TG_IO_CASSANDRA_HANDSHAKE_H

#include "io/cassandra/connection.h"

#define TG_CQL_TAG_GREETING (TG_CQL_TAG_INTERNAL + 0)
#define TG_CQL_TAG_STARTUP (TG_CQL_TAG_INTERNAL + 1)
#define TG_CQL_TAG_AUTH (TG_CQL_TAG_INTERNAL + 2)
#define TG_CQL_TAG_PREPARE (TG_CQL_TAG_INTERNAL + 3)
#define TG_CQL_TAG_HEARTBEAT (TG_CQL_TAG_INTERNAL + 4)

/* The socket is connected: say hello.  @shard */
void tg_cql_handshake_begin(struct tg_cql_connection *connection, uint64_t now_ns);
/* An answer to one of these requests.  @shard */
void tg_cql_handshake_answer(struct tg_cql_connection *connection, const struct tg_cql_answer *answer, uint64_t now_ns);
/* An answer to somebody else's request: UNPREPARED starts a new PREPARE.  @shard */
void tg_cql_handshake_watch(struct tg_cql_connection *connection, const struct tg_cql_answer *answer, uint64_t now_ns);
/* Give up this connection for now; defined in connection.c.  @shard */
void tg_cql_connection_drop(struct tg_cql_connection *connection, uint64_t now_ns, const char *why);

#endif
