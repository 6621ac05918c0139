/* Every code a user can meet, once: number, status, title. `turgo explain TGnnnn` prints the page of the same number
 * (tools/explain/). 10xx command line and job file, 11xx plan, 12xx Kafka, 13xx Cassandra, 14xx operators and state,
 * 15xx SQLite and files, 16xx engine, 20xx and up warnings. Numbers are never reused. */
#ifndef TG_BASE_CODES_H
#define TG_BASE_CODES_H

/* X(number, status, title) */
#define TG_CODES(X) \
    X(1000, TG_ERR_USAGE, "wrong command line") \
    X(1001, TG_ERR_CONFIG, "not YAML") \
    X(1002, TG_ERR_CONFIG, "unknown key") \
    X(1003, TG_ERR_CONFIG, "missing key") \
    X(1004, TG_ERR_CONFIG, "wrong value") \
    X(1005, TG_ERR_CONFIG, "environment variable not set") \
    X(1006, TG_ERR_CONFIG, "unknown name") \
    X(1007, TG_ERR_CONFIG, "duplicate name") \
    X(1008, TG_ERR_INPUT, "job file not readable") \
    X(1009, TG_ERR_CONFIG, "unknown profile") \
    X(1101, TG_ERR_CONFIG, "step cannot be planned") \
    X(1102, TG_ERR_CONFIG, "column does not exist") \
    X(1103, TG_ERR_CONFIG, "type mismatch") \
    X(1201, TG_ERR_UNAVAILABLE, "Kafka unreachable") \
    X(1202, TG_ERR_CONFIG, "Kafka client setting refused") \
    X(1203, TG_ERR_UNAVAILABLE, "topic does not exist") \
    X(1204, TG_ERR_CONFIG, "Kafka authentication failed") \
    X(1205, TG_ERR_UNAVAILABLE, "offset is no longer in the topic") \
    X(1206, TG_ERR_UNAVAILABLE, "Kafka refused the request") \
    X(1301, TG_ERR_UNAVAILABLE, "Cassandra unreachable") \
    X(1302, TG_ERR_CONFIG, "Cassandra authentication failed") \
    X(1303, TG_ERR_UNAVAILABLE, "Cassandra answered with an error") \
    X(1309, TG_ERR_CONFIG, "Cassandra keyspace not found") \
    X(1310, TG_ERR_CONFIG, "Cassandra table not found") \
    X(1311, TG_ERR_CONFIG, "Cassandra column not found") \
    X(1312, TG_ERR_CONFIG, "Cassandra column has another type") \
    X(1313, TG_ERR_CONFIG, "Cassandra primary key does not fit the row key") \
    X(1401, TG_ERR_CONFIG, "operator not found") \
    X(1402, TG_ERR_CONFIG, "operator parameter") \
    X(1403, TG_ERR_INTERNAL, "operator broke its contract") \
    X(1404, TG_ERR_DATA, "operator failed the job") \
    X(1501, TG_ERR_INPUT, "input file not readable") \
    X(1502, TG_ERR_IO, "output file not writable") \
    X(1503, TG_ERR_IO, "SQLite refused a statement") \
    X(1504, TG_ERR_CONFIG, "SQLite table has other columns") \
    X(1505, TG_ERR_LOCKED, "output file in use") \
    X(1510, TG_ERR_IO, "checkpoint not written") \
    X(1511, TG_ERR_IO, "checkpoint not readable") \
    X(1512, TG_ERR_DATA, "checkpoint damaged") \
    X(1513, TG_ERR_CONFIG, "checkpoint of a newer turgo") \
    X(1514, TG_ERR_CONFIG, "checkpoint of another job") \
    X(1515, TG_ERR_CONFIG, "checkpoint of another job graph") \
    X(1516, TG_ERR_CONFIG, "checkpoint of another topic") \
    X(1517, TG_ERR_UNAVAILABLE, "log is shorter than the checkpoint") \
    X(1518, TG_ERR_DATA, "newest checkpoint is damaged and its output is outside") \
    X(1519, TG_ERR_CONFIG, "state does not fit the stored one") \
    X(1520, TG_ERR_INPUT, "no such checkpoint") \
    X(1521, TG_ERR_LOCKED, "checkpoint directory taken over") \
    X(1522, TG_ERR_CONFIG, "the checkpoint is of a run that has ended") \
    X(1523, TG_ERR_DATA, "rows written since that checkpoint are outside") \
    X(1524, TG_ERR_DATA, "a restore has not ended") \
    X(1525, TG_ERR_CONFIG, "sink does not fit the checkpoint") \
    X(1529, TG_ERR_DATA, "the counts of a checkpoint do not add up") \
    X(1601, TG_ERR_IO, "operating system refused a resource") \
    X(1602, TG_ERR_DATA, "poison record with on_error: stop") \
    X(1603, TG_ERR_INTERNAL, "timer never comes to rest") \
    X(1604, TG_ERR_LOCKED, "state directory in use") \
    X(1606, TG_ERR_UNAVAILABLE, "stopped before everything was written") \
    X(2101, TG_OK, "io_uring denied, using epoll") \
    X(2102, TG_OK, "shards are not pinned") \
    X(2201, TG_OK, "waiting for Kafka") \
    X(2202, TG_OK, "dead letter shortened for its topic") \
    X(2301, TG_OK, "waiting for Cassandra") \
    X(2401, TG_OK, "key met in a second partition") \
    X(2402, TG_OK, "state budget spent") \
    X(2501, TG_OK, "checkpoint failed") \
    X(2502, TG_OK, "reading stops until a checkpoint is complete") \
    X(2503, TG_OK, "unhealthy: checkpoints fail one after the other") \
    X(2504, TG_OK, "idle clocks stand still")

#define TG_CODE_ENUM(number, status, title) TG##number = number,
enum tg_code { TG_CODE_NONE = 0, TG_CODES(TG_CODE_ENUM) };
#undef TG_CODE_ENUM

#endif
