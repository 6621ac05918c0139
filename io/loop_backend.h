/* What io/loop.c and the backends share: the operations table, the bookkeeping of descriptors and the wake-up protocol.
 * Private to io/loop*.c and the simulator's network; connectors see io/loop.h only.
 *
 * Sleeping and waking. The owner announces sleep, looks again, sleeps; a waker publishes, then looks for a sleeper:
 *   W1 wake_sequence fetch-add (wake, seq_cst)     pairs with  S2 wake_sequence load (park, seq_cst)
 *   S1 parked store 1          (park, seq_cst)     pairs with  W2 parked exchange 0  (wake, seq_cst)
 * In the single order of these four either S2 sees W1 (the owner does not sleep) or W2 sees S1 (the waker rings the
 * eventfd). It is a sequence number and not a flag because a flag may go 1-0-1 between two looks. */
#ifndef TG_IO_LOOP_BACKEND_H
#define TG_IO_LOOP_BACKEND_H

#include <stdalign.h>
#include <stdatomic.h>

#include "io/loop.h"

enum tg_io_kind { TG_IO_CONNECT = 1, TG_IO_RECV, TG_IO_RECV_ALL, TG_IO_SEND };

/* What tg_io.flags holds. */
enum {
    TG_IO_QUEUED = 1, /* epoll: stands in the list of operations to try */
};

enum {
    TG_FD_CLOSING = 1,    /* tg_loop_shutdown was called; closed when both slots are empty */
    TG_FD_REGISTERED = 2, /* epoll: in the interest list */
    TG_FD_READABLE = 4,   /* epoll: no EAGAIN since the last edge */
    TG_FD_WRITABLE = 8,
};

/* Operations of one descriptor: one that receives, one that sends or connects. */
struct tg_loop_fd {
    struct tg_io *in;
    struct tg_io *out;
    uint32_t flags; /* TG_FD_* */
};

struct tg_loop_ops {
    const char *name;
    int (*socket)(struct tg_loop *loop, int family); /* fd or -errno */
    void (*close)(struct tg_loop *loop, int fd);     /* nothing is in flight on it */
    /* Start `io`, whose kind, fd, data and bytes are set. The outcome goes to tg_loop_finish, from poll only. */
    void (*start)(struct tg_loop *loop, struct tg_io *io, const struct sockaddr *address, socklen_t address_bytes);
    void (*cancel)(struct tg_loop *loop, struct tg_io *io); /* tg_loop_finish follows, from poll only */
    uint32_t (*poll)(struct tg_loop *loop);
    void (*wait)(struct tg_loop *loop, uint64_t timeout_ns); /* sleep until there is something to poll; > 0 ns */
    void (*wake)(struct tg_loop *loop);                      /* end a wait; any thread */
    void (*destroy)(struct tg_loop *loop);                   /* nothing is in flight */
};

/* First member of each backend's own struct. */
struct tg_loop {
    const struct tg_loop_ops *ops;
    struct tg_loop_fd *fds; /* [fd_count], by descriptor number; pages are touched on use only */
    uint32_t fd_count;
    uint32_t fd_used; /* one more than the highest descriptor seen */
    uint32_t ops_max;
    uint32_t in_flight;
    struct tg_io *refused; /* started while the loop closes: cancelled by the next poll */
    bool closing;
    uint64_t wake_seen; /* the owner's last look at wake_sequence */
    alignas(128) _Atomic uint64_t wake_sequence;
    _Atomic uint32_t parked;
};

/* Fill the base part of a backend whose `ops` are set: for tg_loop_open, and for a backend that is made elsewhere and
 * not chosen by tg_loop_open (the simulator's). Errors: TG1601.  @shard */
TG_MUST_USE tg_status tg_loop_init(struct tg_loop *loop, const struct tg_loop_config *config, struct tg_error *err);

/* Take `io` out of the books and run its `done`; called by backends inside poll.  @shard */
void tg_loop_finish(struct tg_loop *loop, struct tg_io *io, int32_t result);

/* One each; the result's base part is filled by tg_loop_open. NULL with *os_errno set when refused.  @shard */
TG_MUST_USE struct tg_loop *tg_loop_uring_create(const struct tg_loop_config *config, int *os_errno);
TG_MUST_USE struct tg_loop *tg_loop_epoll_create(const struct tg_loop_config *config, int *os_errno);

/* TCP_NODELAY, keep-alive (dead peer noticed in about 25 s); `type_flags` goes to socket(2). fd or -errno.  @shard */
TG_MUST_USE int tg_loop_tcp_socket(int family, int type_flags);
/* close(2).  @shard */
void tg_loop_tcp_close(struct tg_loop *loop, int fd);

#endif
