/* Cassandra's Murmur3Partitioner: partition key bytes to token. */
#ifndef TG_IO_CASSANDRA_TOKEN_H
#define TG_IO_CASSANDRA_TOKEN_H

#include <stdint.h>

#include "base/attributes.h"

/* First half of MurmurHash3 x64-128 (A. Appleby, public domain), seed 0, with the deviation of Cassandra's Java port:
 * the bytes of the tail are sign-extended. INT64_MIN, which is no token, becomes INT64_MAX.
 * A key of one column is its serialised value; of several, each is u16 length, bytes, one 0 byte.  @any */
TG_HOT int64_t tg_cql_token(const uint8_t *key, uint32_t bytes);

#endif
