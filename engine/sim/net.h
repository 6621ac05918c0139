/* The simulator's network: an I/O loop (io/loop.h) for each shard whose connections end in services of this process.
 * Bytes take a drawn time, arrive in drawn pieces and in order; a send moves a part at a time. Hosts go down and come
 * back, connections are cut in the middle of anything, or fall silent without a sign (half-open). */
#ifndef TG_ENGINE_SIM_NET_H
#define TG_ENGINE_SIM_NET_H

#include <stdbool.h>

#include "engine/sim/disk.h"
#include "engine/sim/world.h"
#include "io/loop.h"

struct tg_sim_net;
struct tg_sim_link; /* one connection, from the service's side */

/* Who accepts at an address. Called from tg_sim_net_step only. */
struct tg_sim_service {
    void (*accepted)(void *self, struct tg_sim_link *link);
    void (*received)(void *self, struct tg_sim_link *link, const uint8_t *data, uint32_t bytes);
    void (*gone)(void *self, struct tg_sim_link *link); /* the last call about this link */
    void *self;
};

/* Parts per million of events (a piece that arrives, a connect). */
struct tg_sim_net_faults {
    uint32_t cut_ppm;    /* of pieces: the connection is reset in the middle of it */
    uint32_t silent_ppm; /* of pieces: nothing arrives any more, in one direction or both */
    uint32_t refuse_ppm; /* of connects: refused, or never answered */
    uint64_t delay_ns;   /* one way, at most */
};

enum { TG_SIM_HOSTS_MAX = 4, TG_SIM_PORT = 9042 };

/* NULL = no memory.  @setup */
struct tg_sim_net *tg_sim_net_create(struct tg_sim_world *world, uint64_t seed);
/* After its loops are closed.  @setup */
void tg_sim_net_destroy(struct tg_sim_net *net);
/* Serve 10.0.0.(host + 1), port TG_SIM_PORT; lent.  @setup */
void tg_sim_net_listen(struct tg_sim_net *net, uint32_t host, const struct tg_sim_service *service);
/* From now on.  @setup */
void tg_sim_net_set_faults(struct tg_sim_net *net, const struct tg_sim_net_faults *faults);
/* Take a host down (its connections end, or hang) or up again.  @setup */
void tg_sim_net_set_up(struct tg_sim_net *net, uint32_t host, bool up);
/* Deliver what is due to services; returns how many pieces.  @shard */
uint32_t tg_sim_net_step(struct tg_sim_net *net);

/* A loop of the network's for one shard; tg_loop_close frees it. NULL = no memory.  @setup */
struct tg_loop *tg_sim_net_loop(struct tg_sim_net *net);

/* The process is dead: no byte moves any more until the crash below.  @setup */
void tg_sim_net_freeze(struct tg_sim_net *net);
/* Its loops are closed. KILL: its system still sends what it had taken; POWER: that is lost.  @setup */
void tg_sim_net_crash(struct tg_sim_net *net, enum tg_sim_crash crash);

/* Queue bytes to the engine.  @shard */
void tg_sim_link_send(struct tg_sim_link *link, const uint8_t *data, uint32_t bytes);
/* Reset the connection; `gone` comes with the next step.  @shard */
void tg_sim_link_cut(struct tg_sim_link *link);
/* A word for the service to keep; NULL at first.  @shard */
void **tg_sim_link_word(struct tg_sim_link *link);

#endif
