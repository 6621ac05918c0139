/* The engine's side of the simulated network: a loop backend. Nothing ever waits in it: the scheduler polls. */
#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/sim/net_link.h"
#include "io/loop_backend.h"

enum { FDS_MAX = 128, OPS_MAX = 1024 };

struct net_loop {
    struct tg_loop base;
    struct tg_sim_net *net;
    bool used[FDS_MAX];
    struct tg_sim_link *links[FDS_MAX]; /* NULL = not connected yet */
    uint32_t polls;                     /* tells what was started within a poll */
};

static struct net_loop *self_of(struct tg_loop *loop) { return (struct net_loop *)(void *)loop; }

static int net_socket(struct tg_loop *loop, int family)
{
    struct net_loop *self = self_of(loop);
    if (family != AF_INET) { return -EAFNOSUPPORT; }
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (self->used[fd]) { continue; }
        self->used[fd] = true;
        self->links[fd] = NULL;
        return fd;
    }
    return -EMFILE;
}

static void net_close(struct tg_loop *loop, int fd)
{
    struct net_loop *self = self_of(loop);
    if (self->links[fd] != NULL) { tg_sim_link_close(self->links[fd]); }
    self->used[fd] = false;
    self->links[fd] = NULL;
}

static void net_start(struct tg_loop *loop, struct tg_io *io, const struct sockaddr *address, socklen_t address_bytes)
{
    struct net_loop *self = self_of(loop);
    io->flags = self->polls;
    if (io->kind != TG_IO_CONNECT) { return; }
    const struct sockaddr_in *v4 = (const void *)address;
    TG_ASSERT(address_bytes >= sizeof *v4 && self->links[io->fd] == NULL);
    self->links[io->fd] = tg_sim_link_open(self->net, ntohl(v4->sin_addr.s_addr), ntohs(v4->sin_port));
}

/* Looked for by poll. */
static void net_cancel(struct tg_loop *loop, struct tg_io *io)
{
    (void)loop;
    (void)io;
}

/* Each returns true with *result set when the operation has ended. */
static bool try_connect(const struct net_loop *self, const struct tg_sim_link *link, int32_t *result)
{
    if (link == NULL) {
        *result = -ENETUNREACH;
        return true;
    }
    *result = link->state == TG_SIM_LINK_OPEN ? 0 : link->state == TG_SIM_LINK_RESET ? -ECONNRESET : -ECONNREFUSED;
    return link->state == TG_SIM_LINK_OPEN || link->state == TG_SIM_LINK_RESET ||
           (link->state == TG_SIM_LINK_REFUSED && link->due_ns <= self->net->world->now_ns);
}

static bool try_recv(const struct net_loop *self, struct tg_sim_link *link, struct tg_io *io, int32_t *result)
{
    const uint32_t got =
        tg_sim_pipe_pull(self->net, &link->down, (uint8_t *)io->data + io->moved, io->bytes - io->moved);
    io->moved += got;
    *result = (int32_t)io->moved;
    if (got > 0) { return io->kind == TG_IO_RECV || io->moved == io->bytes; }
    if (link->state != TG_SIM_LINK_RESET || (link->down.first != NULL && !link->down.silent)) { return false; }
    *result = link->down.silent ? 0 : -ECONNRESET;
    return !link->down.silent; /* a silent line brings no reset either */
}

static bool try_send(const struct net_loop *self, struct tg_sim_link *link, struct tg_io *io, int32_t *result)
{
    if (link->state == TG_SIM_LINK_RESET) {
        *result = -EPIPE;
        return !link->up.silent;
    }
    const uint32_t room = TG_SIM_PIPE_BYTES > link->up.bytes ? TG_SIM_PIPE_BYTES - link->up.bytes : 0;
    uint32_t count = io->bytes - io->moved < room ? io->bytes - io->moved : room;
    if (count > 1 && tg_prng_below(&self->net->prng, 4) == 0) { count = 1 + tg_prng_below(&self->net->prng, count); }
    tg_sim_pipe_push(self->net, &link->up, (const uint8_t *)io->data + io->moved, count);
    io->moved += count;
    *result = (int32_t)io->moved;
    return io->moved == io->bytes;
}

static bool try_io(struct net_loop *self, struct tg_io *io, int32_t *result)
{
    struct tg_sim_link *link = self->links[io->fd];
    if (self->base.closing || (self->base.fds[io->fd].flags & TG_FD_CLOSING) != 0) {
        *result = -ECANCELED;
        return true;
    }
    if (io->flags == self->polls || self->net->frozen) { return false; }
    switch ((enum tg_io_kind)io->kind) {
    case TG_IO_CONNECT: return try_connect(self, link, result);
    case TG_IO_SEND: return try_send(self, link, io, result);
    case TG_IO_RECV:
    case TG_IO_RECV_ALL: return try_recv(self, link, io, result);
    }
    TG_ASSERT(false);
    return false;
}

static uint32_t net_poll(struct tg_loop *loop)
{
    struct net_loop *self = self_of(loop);
    uint32_t ran = 0;
    self->polls++;
    for (uint32_t fd = 0; fd < loop->fd_used; fd++) {
        for (uint32_t side = 0; side < 2; side++) {
            struct tg_io *io = side == 0 ? loop->fds[fd].in : loop->fds[fd].out;
            int32_t result = 0;
            if (io == NULL || !try_io(self, io, &result)) { continue; }
            tg_loop_finish(loop, io, result);
            ran++;
        }
    }
    return ran;
}

static void net_wait(struct tg_loop *loop, uint64_t timeout_ns)
{
    (void)loop;
    (void)timeout_ns;
}

static void net_wake(struct tg_loop *loop) { (void)loop; }

/* What nobody has shut down is closed by the system when the process ends. */
static void net_destroy(struct tg_loop *loop)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (self_of(loop)->used[fd]) { net_close(loop, fd); }
    }
    free(self_of(loop));
}

static const struct tg_loop_ops net_ops = {
    .name = "simulated",
    .socket = net_socket,
    .close = net_close,
    .start = net_start,
    .cancel = net_cancel,
    .poll = net_poll,
    .wait = net_wait,
    .wake = net_wake,
    .destroy = net_destroy,
};

struct tg_loop *tg_sim_net_loop(struct tg_sim_net *net)
{
    const struct tg_loop_config config = {.ops_max = OPS_MAX};
    struct net_loop *self = aligned_alloc(alignof(struct net_loop), sizeof *self);
    if (self == NULL) { return NULL; }
    memset(self, 0, sizeof *self);
    self->base.ops = &net_ops;
    self->net = net;
    if (tg_loop_init(&self->base, &config, NULL) != TG_OK) {
        free(self);
        return NULL;
    }
    return &self->base;
}
