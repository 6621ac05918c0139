/* A scripted Cassandra cluster behind the simulated network: one to four nodes over one table. It speaks the native
 * protocol, versions 4 and 5, as far as a client of ours goes: OPTIONS, STARTUP, REGISTER, QUERY of the system tables,
 * PREPARE of an INSERT, EXECUTE and BATCH. Executions take effect and are answered in a drawn order; drawn ones are
 * refused, applied without an answer, answered after the client has given up, or applied later than that. */
#ifndef TG_ENGINE_SIM_CQL_SERVER_H
#define TG_ENGINE_SIM_CQL_SERVER_H

#include "engine/sim/cql_table.h"
#include "engine/sim/net.h"

/* Parts per million of executions. */
struct tg_sim_cql_faults {
    uint32_t overloaded_ppm;      /* refused: OVERLOADED, UNAVAILABLE or BOOTSTRAPPING */
    uint32_t timeout_applied_ppm; /* WRITE_TIMEOUT although applied */
    uint32_t timeout_later_ppm;   /* WRITE_TIMEOUT, and applied long after it */
    uint32_t timeout_lost_ppm;    /* WRITE_TIMEOUT, never applied */
    uint32_t failure_ppm;         /* WRITE_FAILURE or SERVER_ERROR */
    uint32_t late_ppm;            /* applied, answered after late_ns */
    uint32_t silent_ppm;          /* applied or not, never answered */
    uint32_t forget_ppm;          /* UNPREPARED: the node has forgotten its statements */
    uint32_t cut_ppm;             /* applied, then the connection is reset */
    uint32_t corrupt_ppm;         /* applied, answered with a damaged frame (version 5) */
    uint64_t service_ns;          /* longest ordinary execution */
    uint64_t late_ns;
};

struct tg_sim_cql_config {
    uint32_t nodes;       /* 1 to TG_SIM_HOSTS_MAX */
    uint32_t version_max; /* 4 or 5 */
    const char *keyspace; /* lent */
    const char *table_name;
    struct tg_sim_table *table; /* lent */
    struct tg_sim_world *world;
    struct tg_sim_net *net;
    uint64_t seed;
};

struct tg_sim_cql;

/* Listens on hosts 0 to nodes - 1. NULL = no memory.  @setup */
struct tg_sim_cql *tg_sim_cql_create(const struct tg_sim_cql_config *config);
/* After the network.  @setup */
void tg_sim_cql_destroy(struct tg_sim_cql *cql);
/* From now on.  @setup */
void tg_sim_cql_set_faults(struct tg_sim_cql *cql, const struct tg_sim_cql_faults *faults);
/* Do what is due; returns how much.  @shard */
uint32_t tg_sim_cql_step(struct tg_sim_cql *cql);
/* What the client did against the protocol, NULL while it did nothing.  @any */
const char *tg_sim_cql_violation(const struct tg_sim_cql *cql);
/* Executions received, and those that were not simply applied and answered.  @any */
void tg_sim_cql_counts(const struct tg_sim_cql *cql, uint64_t *executions, uint64_t *faulted);

#endif
