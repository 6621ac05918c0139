/* Links and hosts: the services' side of the network. */
#include "engine/sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/sim/net_link.h"

enum { NET_ADDRESS = 0x0A000001, PIECE_BYTES = 4096 };
#define CONNECT_HANG_NS UINT64_C(3600000000000)

bool tg_sim_net_strikes(struct tg_sim_net *net, uint32_t ppm)
{
    return ppm != 0 && tg_prng_below(&net->prng, 1000000) < ppm;
}

static uint64_t delay(struct tg_sim_net *net)
{
    return net->faults.delay_ns == 0 ? 0 : tg_prng_next(&net->prng) % net->faults.delay_ns;
}

/* ---- pipes ------------------------------------------------------------------------------------------------------- */

static void pipe_free(struct tg_sim_pipe *pipe)
{
    while (pipe->first != NULL) {
        struct tg_sim_chunk *chunk = pipe->first;
        pipe->first = chunk->next;
        free(chunk);
    }
    pipe->last = NULL;
    pipe->bytes = 0;
}

void tg_sim_pipe_push(struct tg_sim_net *net, struct tg_sim_pipe *pipe, const uint8_t *data, uint32_t bytes)
{
    if (pipe->silent || bytes == 0) { return; }
    struct tg_sim_chunk *chunk = malloc(sizeof *chunk + bytes);
    TG_ASSERT(chunk != NULL);
    *chunk = (struct tg_sim_chunk){.due_ns = net->world->now_ns + delay(net), .bytes = bytes};
    memcpy(chunk->data, data, bytes);
    if (pipe->last != NULL) {
        chunk->due_ns = chunk->due_ns < pipe->last->due_ns ? pipe->last->due_ns : chunk->due_ns;
        pipe->last->next = chunk;
    } else {
        pipe->first = chunk;
    }
    pipe->last = chunk;
    pipe->bytes += bytes;
}

uint32_t tg_sim_pipe_pull(struct tg_sim_net *net, struct tg_sim_pipe *pipe, uint8_t *data, uint32_t room)
{
    struct tg_sim_chunk *chunk = pipe->first;
    if (chunk == NULL || pipe->silent || chunk->due_ns > net->world->now_ns) { return 0; }
    uint32_t count = chunk->bytes - chunk->at;
    count = count < room ? count : room;
    if (count > 1 && tg_prng_below(&net->prng, 4) == 0) { count = 1 + tg_prng_below(&net->prng, count); }
    memcpy(data, chunk->data + chunk->at, count);
    chunk->at += count;
    pipe->bytes -= count;
    if (chunk->at == chunk->bytes) {
        pipe->first = chunk->next;
        pipe->last = pipe->first == NULL ? NULL : pipe->last;
        free(chunk);
    }
    return count;
}

/* ---- links ------------------------------------------------------------------------------------------------------- */

struct tg_sim_link *tg_sim_link_open(struct tg_sim_net *net, uint32_t address, uint16_t port)
{
    uint32_t place = 0;
    while (place < TG_SIM_LINKS_MAX && net->links[place] != NULL) { place++; }
    if (place == TG_SIM_LINKS_MAX) { return NULL; }
    struct tg_sim_link *link = calloc(1, sizeof *link);
    TG_ASSERT(link != NULL);
    net->links[place] = link;
    link->net = net;
    link->host = address - NET_ADDRESS;
    link->due_ns = net->world->now_ns + delay(net);
    const bool known = link->host < TG_SIM_HOSTS_MAX && net->hosts[link->host].service != NULL && port == TG_SIM_PORT;
    if (!known || !net->hosts[link->host].up || tg_sim_net_strikes(net, net->faults.refuse_ppm)) {
        link->state = TG_SIM_LINK_REFUSED;
        if (known && tg_prng_below(&net->prng, 3) == 0) { link->due_ns += CONNECT_HANG_NS; } /* nobody says no */
    }
    return link;
}

void tg_sim_link_close(struct tg_sim_link *link)
{
    link->engine_closed = true;
    pipe_free(&link->down);
}

void tg_sim_link_send(struct tg_sim_link *link, const uint8_t *data, uint32_t bytes)
{
    if (link->state == TG_SIM_LINK_OPEN && !link->engine_closed) {
        tg_sim_pipe_push(link->net, &link->down, data, bytes);
    }
}

void tg_sim_link_cut(struct tg_sim_link *link)
{
    link->state = TG_SIM_LINK_RESET;
    pipe_free(&link->up);
}

void **tg_sim_link_word(struct tg_sim_link *link) { return &link->word; }

static const struct tg_sim_service *service_of(const struct tg_sim_link *link)
{
    return link->net->hosts[link->host].service;
}

static void tell_gone(struct tg_sim_link *link)
{
    if (link->accepted && !link->told_gone) { service_of(link)->gone(service_of(link)->self, link); }
    link->told_gone = true;
}

/* One piece of what the engine sent; faults strike here. */
static uint32_t link_deliver(struct tg_sim_net *net, struct tg_sim_link *link)
{
    uint8_t piece[PIECE_BYTES];
    const uint32_t bytes = tg_sim_pipe_pull(net, &link->up, piece, sizeof piece);
    if (bytes == 0) { return 0; }
    if (tg_sim_net_strikes(net, net->faults.cut_ppm)) {
        const uint32_t kept = tg_prng_below(&net->prng, bytes);
        if (kept > 0) { service_of(link)->received(service_of(link)->self, link, piece, kept); }
        tg_sim_link_cut(link);
        return 1;
    }
    if (tg_sim_net_strikes(net, net->faults.silent_ppm)) {
        const uint32_t which = tg_prng_below(&net->prng, 3);
        link->up.silent = link->up.silent || which != 1;
        link->down.silent = link->down.silent || which != 0;
    }
    service_of(link)->received(service_of(link)->self, link, piece, bytes);
    return 1;
}

/* Nothing more can arrive at the service. */
static bool link_drained(const struct tg_sim_link *link)
{
    return link->state != TG_SIM_LINK_OPEN || link->up.first == NULL || link->up.silent;
}

static uint32_t link_step(struct tg_sim_net *net, struct tg_sim_link *link)
{
    if (link->state == TG_SIM_LINK_CONNECTING && link->due_ns <= net->world->now_ns) {
        link->state = TG_SIM_LINK_OPEN;
        link->accepted = true;
        service_of(link)->accepted(service_of(link)->self, link);
        return 1;
    }
    const uint32_t work = link->state == TG_SIM_LINK_OPEN ? link_deliver(net, link) : 0;
    if (link->state == TG_SIM_LINK_RESET || (link->engine_closed && link_drained(link))) { tell_gone(link); }
    return work;
}

static void link_free(struct tg_sim_net *net, uint32_t place)
{
    pipe_free(&net->links[place]->up);
    pipe_free(&net->links[place]->down);
    free(net->links[place]);
    net->links[place] = NULL;
}

uint32_t tg_sim_net_step(struct tg_sim_net *net)
{
    uint32_t work = 0;
    for (uint32_t i = 0; i < TG_SIM_LINKS_MAX; i++) {
        struct tg_sim_link *link = net->links[i];
        if (link == NULL) { continue; }
        if (!net->frozen) { work += link_step(net, link); }
        if (link->engine_closed && (link->told_gone || !link->accepted)) { link_free(net, i); }
    }
    return work;
}

/* ---- the network as a whole -------------------------------------------------------------------------------------- */

struct tg_sim_net *tg_sim_net_create(struct tg_sim_world *world, uint64_t seed)
{
    struct tg_sim_net *net = calloc(1, sizeof *net);
    if (net != NULL) {
        net->world = world;
        net->prng = (struct tg_prng){seed};
    }
    return net;
}

void tg_sim_net_destroy(struct tg_sim_net *net)
{
    if (net == NULL) { return; }
    for (uint32_t i = 0; i < TG_SIM_LINKS_MAX; i++) {
        if (net->links[i] == NULL) { continue; }
        TG_ASSERT(net->links[i]->engine_closed);
        tell_gone(net->links[i]);
        link_free(net, i);
    }
    free(net);
}

void tg_sim_net_listen(struct tg_sim_net *net, uint32_t host, const struct tg_sim_service *service)
{
    TG_ASSERT(host < TG_SIM_HOSTS_MAX);
    net->hosts[host] = (struct tg_sim_host){.service = service, .up = true};
}

void tg_sim_net_set_faults(struct tg_sim_net *net, const struct tg_sim_net_faults *faults) { net->faults = *faults; }

void tg_sim_net_set_up(struct tg_sim_net *net, uint32_t host, bool up)
{
    net->hosts[host].up = up;
    for (uint32_t i = 0; !up && i < TG_SIM_LINKS_MAX; i++) {
        struct tg_sim_link *link = net->links[i];
        if (link == NULL || link->host != host || link->state == TG_SIM_LINK_REFUSED) { continue; }
        if (link->state == TG_SIM_LINK_CONNECTING) {
            link->state = TG_SIM_LINK_REFUSED;
        } else if (tg_prng_below(&net->prng, 4) == 0) { /* the machine is gone, nobody sends a reset */
            link->up.silent = true;
            link->down.silent = true;
        } else {
            tg_sim_link_cut(link);
        }
    }
}

void tg_sim_net_freeze(struct tg_sim_net *net) { net->frozen = true; }

void tg_sim_net_crash(struct tg_sim_net *net, enum tg_sim_crash crash)
{
    net->frozen = false;
    for (uint32_t i = 0; i < TG_SIM_LINKS_MAX; i++) {
        if (net->links[i] == NULL) { continue; }
        TG_ASSERT(net->links[i]->engine_closed);
        if (crash == TG_SIM_POWER) { pipe_free(&net->links[i]->up); }
    }
}
