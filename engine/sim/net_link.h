/* One connection of the simulated network: two pipes, and what has happened to it. Private to net.c and net_loop.c. */
#ifndef TG_ENGINE_SIM_NET_LINK_H
#define TG_ENGINE_SIM_NET_LINK_H

#include "engine/sim/net.h"

enum { TG_SIM_LINKS_MAX = 128, TG_SIM_PIPE_BYTES = 64 << 10 };

/* Bytes sent in one go: they arrive together, perhaps in several pieces. */
struct tg_sim_chunk {
    struct tg_sim_chunk *next;
    uint64_t due_ns;
    uint32_t bytes;
    uint32_t at; /* delivered */
    uint8_t data[];
};

struct tg_sim_pipe {
    struct tg_sim_chunk *first;
    struct tg_sim_chunk *last;
    uint32_t bytes; /* not delivered */
    bool silent;    /* swallows what is sent and delivers nothing */
};

enum tg_sim_link_state {
    TG_SIM_LINK_CONNECTING, /* until due_ns */
    TG_SIM_LINK_REFUSED,
    TG_SIM_LINK_OPEN,
    TG_SIM_LINK_RESET,
};

struct tg_sim_link {
    struct tg_sim_net *net;
    enum tg_sim_link_state state;
    uint32_t host;
    uint64_t due_ns;
    bool accepted;      /* the service knows it */
    bool engine_closed; /* the engine's end is closed; what it had sent may still arrive */
    bool told_gone;
    struct tg_sim_pipe up;   /* engine to service */
    struct tg_sim_pipe down; /* service to engine */
    void *word;
};

struct tg_sim_host {
    const struct tg_sim_service *service;
    bool up;
};

struct tg_sim_net {
    struct tg_sim_world *world;
    struct tg_prng prng;
    struct tg_sim_net_faults faults;
    struct tg_sim_host hosts[TG_SIM_HOSTS_MAX];
    struct tg_sim_link *links[TG_SIM_LINKS_MAX]; /* NULL = free */
    bool frozen;
};

/* Draw an event of that many parts per million.  @shard */
bool tg_sim_net_strikes(struct tg_sim_net *net, uint32_t ppm);
/* A connection attempt; NULL = too many.  @shard */
struct tg_sim_link *tg_sim_link_open(struct tg_sim_net *net, uint32_t address, uint16_t port);
/* The engine closes its end.  @shard */
void tg_sim_link_close(struct tg_sim_link *link);
/* Put bytes into a pipe with a drawn delay.  @shard */
void tg_sim_pipe_push(struct tg_sim_net *net, struct tg_sim_pipe *pipe, const uint8_t *data, uint32_t bytes);
/* Take at most `room` bytes that are due, a drawn part of them; 0 = none.  @shard */
uint32_t tg_sim_pipe_pull(struct tg_sim_net *net, struct tg_sim_pipe *pipe, uint8_t *data, uint32_t room);

#endif
