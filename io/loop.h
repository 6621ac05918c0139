/* The I/O loop of one shard: sockets by completion, in two equal implementations chosen at run time (io_uring, epoll)
 * and a simulated one. Everything here is called by the owning shard only, except tg_loop_wake.
 * An operation is a caller-owned struct tg_io that must stay put until its `done` has run; `done` runs inside
 * tg_loop_poll, never inside the call that started it. Buffers belong to the kernel until then. */
#ifndef TG_IO_LOOP_H
#define TG_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/status.h"

struct tg_loop; /* opaque; the backend follows */

struct tg_io {
    /* result: bytes moved or 0 for connect, or -errno (-ECANCELED after tg_loop_shutdown). Runs in tg_loop_poll. */
    void (*done)(struct tg_io *io, int32_t result);
    void *owner;
    /* the backend's */
    int32_t fd;
    uint32_t kind;
    void *data;
    uint32_t bytes;
    uint32_t moved;
    uint32_t flags;
    struct tg_io *next;
    struct tg_io *prev;
};

enum tg_loop_backend { TG_LOOP_AUTO, TG_LOOP_URING, TG_LOOP_EPOLL };

struct tg_loop_config {
    enum tg_loop_backend backend; /* AUTO: io_uring, else epoll with *denied set */
    uint32_t ops_max;             /* operations in flight */
};

/* Open in the thread that will own it (io_uring binds a ring to its thread). With AUTO and io_uring refused, *denied is
 * the errno that refused it (0 otherwise) and epoll is used. Errors: TG1601.  @shard */
TG_MUST_USE tg_status tg_loop_open(struct tg_loop **loop, const struct tg_loop_config *config, int *denied,
                                   struct tg_error *err);
/* Cancels what is in flight, runs its `done`s, frees.  @shard */
void tg_loop_close(struct tg_loop *loop);
/* "io_uring", "epoll" or "simulated".  @any */
const char *tg_loop_name(const struct tg_loop *loop);

/* Non-blocking TCP socket with TCP_NODELAY and keep-alive; fd or -errno.  @shard */
TG_MUST_USE int tg_loop_socket(struct tg_loop *loop, int family);
/* `address` is copied.  @shard */
void tg_loop_connect(struct tg_loop *loop, struct tg_io *io, int fd, const struct sockaddr *address, socklen_t bytes);
/* Receive 1 to `bytes` bytes (all = false) or exactly `bytes` unless the peer closes first (all = true). 0 = closed.
 * At most one receive per fd in flight.  @shard */
void tg_loop_recv(struct tg_loop *loop, struct tg_io *io, int fd, void *data, uint32_t bytes, bool all);
/* Send all `bytes`; at most one send per fd in flight.  @shard */
void tg_loop_send(struct tg_loop *loop, struct tg_io *io, int fd, const void *data, uint32_t bytes);
/* End every operation on fd (their `done`s still come), then close it once they have.  @shard */
void tg_loop_shutdown(struct tg_loop *loop, int fd);

/* Submit what is queued, run the `done` of what is complete; returns how many ran. Never blocks.  @shard */
uint32_t tg_loop_poll(struct tg_loop *loop);
/* Wait until something completes, tg_loop_wake is called, or timeout_ns passes. `still_idle` is asked once after the
 * loop has announced that it sleeps, and false means do not sleep (closes the lost wake-up race).  @shard */
void tg_loop_park(struct tg_loop *loop, uint64_t timeout_ns, bool (*still_idle)(void *self), void *self);
/* Make a parked loop return; cheap when it is not parked.  @any */
void tg_loop_wake(struct tg_loop *loop);

#endif
