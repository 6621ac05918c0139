/* The I/O loop over epoll, for kernels and containers that refuse io_uring. Descriptors are registered once, edge
 * triggered; an operation is tried by the next poll, and again after the edge that follows its EAGAIN. */
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/loop_backend.h"

enum { EVENTS_MAX = 128 };

struct epoll_loop {
    struct tg_loop base;
    int epoll_fd;
    int wake_fd;
    bool no_pwait2;           /* before Linux 5.11: millisecond timeouts */
    uint32_t try_count;
    struct tg_io *try_head;   /* operations to try, oldest first; linked by next and prev */
    struct tg_io *try_tail;
};

static struct epoll_loop *self_of(struct tg_loop *loop) { return (struct epoll_loop *)(void *)loop; }

static void try_later(struct epoll_loop *self, struct tg_io *io)
{
    if ((io->flags & TG_IO_QUEUED) != 0) { return; }
    io->flags |= TG_IO_QUEUED;
    io->next = NULL;
    io->prev = self->try_tail;
    if (self->try_tail != NULL) {
        self->try_tail->next = io;
    } else {
        self->try_head = io;
    }
    self->try_tail = io;
    self->try_count++;
}

static struct tg_io *try_take(struct epoll_loop *self)
{
    struct tg_io *io = self->try_head;
    self->try_head = io->next;
    if (io->next != NULL) {
        io->next->prev = NULL;
    } else {
        self->try_tail = NULL;
    }
    io->flags &= ~(uint32_t)TG_IO_QUEUED;
    self->try_count--;
    return io;
}

static int epoll_socket(struct tg_loop *loop, int family)
{
    (void)loop;
    return tg_loop_tcp_socket(family, SOCK_NONBLOCK);
}

/* 0 or -errno. */
static int32_t register_fd(struct epoll_loop *self, int fd)
{
    struct tg_loop_fd *entry = &self->base.fds[fd];
    if ((entry->flags & TG_FD_REGISTERED) != 0) { return 0; }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) { return -errno; }
    entry->flags |= TG_FD_REGISTERED | TG_FD_READABLE | TG_FD_WRITABLE;
    return 0;
}

/* A start that failed at once becomes a connect with its errno in `bytes`: the next poll reports it. */
static void epoll_start(struct tg_loop *loop, struct tg_io *io, const struct sockaddr *address, socklen_t address_bytes)
{
    struct epoll_loop *self = self_of(loop);
    int32_t failed = 0;
    if (io->kind == TG_IO_CONNECT && connect(io->fd, address, address_bytes) != 0 && errno != EINPROGRESS) {
        failed = -errno;
    }
    /* After connect: an unconnected socket in the interest list reports a hang-up. */
    if (failed == 0) { failed = register_fd(self, io->fd); }
    if (failed != 0) {
        io->kind = TG_IO_CONNECT;
        io->bytes = (uint32_t)-failed;
    }
    try_later(self, io);
}

static void epoll_cancel(struct tg_loop *loop, struct tg_io *io) { try_later(self_of(loop), io); }

/* Each returns true with *result set when the operation has ended, false after EAGAIN. */
static bool try_connect(const struct tg_io *io, int32_t *result)
{
    if (io->bytes != 0) {
        *result = -(int32_t)io->bytes;
        return true;
    }
    int failed = 0;
    socklen_t bytes = sizeof failed;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &failed, &bytes) != 0) { failed = errno; }
    *result = -failed;
    if (failed != 0) { return true; }
    struct sockaddr_storage peer;
    bytes = sizeof peer;
    return getpeername(io->fd, (struct sockaddr *)&peer, &bytes) == 0; /* ENOTCONN: still on its way */
}

static bool try_recv(struct tg_loop_fd *entry, struct tg_io *io, int32_t *result)
{
    while ((entry->flags & TG_FD_READABLE) != 0) { /* ends: each round moves bytes or returns */
        const ssize_t got = recv(io->fd, (uint8_t *)io->data + io->moved, io->bytes - io->moved, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) { continue; }
        if (got < 0 && errno == EAGAIN) {
            entry->flags &= ~(uint32_t)TG_FD_READABLE;
            return false;
        }
        if (got < 0) {
            *result = -errno;
            return true;
        }
        io->moved += (uint32_t)got;
        if (got == 0 || io->kind == TG_IO_RECV || io->moved == io->bytes) {
            *result = (int32_t)io->moved;
            return true;
        }
    }
    return false;
}

static bool try_send(struct tg_loop_fd *entry, struct tg_io *io, int32_t *result)
{
    while ((entry->flags & TG_FD_WRITABLE) != 0) { /* ends: each round moves bytes or returns */
        const ssize_t sent = send(io->fd, (const uint8_t *)io->data + io->moved, io->bytes - io->moved,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) { continue; }
        if (sent < 0 && errno == EAGAIN) {
            entry->flags &= ~(uint32_t)TG_FD_WRITABLE;
            return false;
        }
        if (sent < 0) {
            *result = -errno;
            return true;
        }
        io->moved += (uint32_t)sent;
        if (io->moved == io->bytes) {
            *result = (int32_t)io->moved;
            return true;
        }
    }
    return false;
}

static bool try_io(struct epoll_loop *self, struct tg_io *io, int32_t *result)
{
    struct tg_loop_fd *entry = &self->base.fds[io->fd];
    if (self->base.closing || (entry->flags & TG_FD_CLOSING) != 0) {
        *result = -ECANCELED;
        return true;
    }
    switch ((enum tg_io_kind)io->kind) {
    case TG_IO_CONNECT: return try_connect(io, result);
    case TG_IO_SEND: return try_send(entry, io, result);
    case TG_IO_RECV:
    case TG_IO_RECV_ALL: return try_recv(entry, io, result);
    }
    TG_ASSERT(false);
    return false;
}

static void on_event(struct epoll_loop *self, const struct epoll_event *event)
{
    if (event->data.fd == self->wake_fd) {
        uint64_t rung;
        (void)!read(self->wake_fd, &rung, sizeof rung);
        return;
    }
    struct tg_loop_fd *entry = &self->base.fds[event->data.fd];
    /* A stale event of a closed number sets a flag too much on its successor: one EAGAIN more, nothing else. */
    if ((event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        entry->flags |= TG_FD_READABLE;
        if (entry->in != NULL) { try_later(self, entry->in); }
    }
    if ((event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        entry->flags |= TG_FD_WRITABLE;
        if (entry->out != NULL) { try_later(self, entry->out); }
    }
}

static void gather(struct epoll_loop *self, uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int count = -1;
    if (!self->no_pwait2) {
        const struct timespec timeout = {
            .tv_sec = (time_t)(timeout_ns / 1000000000u),
            .tv_nsec = (long)(timeout_ns % 1000000000u),
        };
        count = epoll_pwait2(self->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) { self->no_pwait2 = true; }
    }
    if (self->no_pwait2) {
        const uint64_t ms = (timeout_ns + 999999u) / 1000000u;
        count = epoll_wait(self->epoll_fd, events, EVENTS_MAX, ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    for (int i = 0; i < count; i++) { on_event(self, &events[i]); }
}

static uint32_t epoll_poll(struct tg_loop *loop)
{
    struct epoll_loop *self = self_of(loop);
    if (loop->in_flight > 0) { gather(self, 0); }
    uint32_t ran = 0;
    for (uint32_t left = self->try_count; left > 0; left--) { /* what a `done` starts waits for the next poll */
        struct tg_io *io = try_take(self);
        int32_t result = 0;
        if (try_io(self, io, &result)) {
            tg_loop_finish(loop, io, result);
            ran++;
        }
    }
    return ran;
}

static void epoll_wait_ns(struct tg_loop *loop, uint64_t timeout_ns)
{
    struct epoll_loop *self = self_of(loop);
    if (self->try_count == 0) { gather(self, timeout_ns); }
}

static void epoll_wake(struct tg_loop *loop)
{
    const uint64_t one = 1;
    const ssize_t written = write(self_of(loop)->wake_fd, &one, sizeof one);
    TG_ASSERT(written == sizeof one || errno == EAGAIN);
}

static void epoll_destroy(struct tg_loop *loop)
{
    struct epoll_loop *self = self_of(loop);
    (void)close(self->wake_fd);
    (void)close(self->epoll_fd);
    free(self);
}

static const struct tg_loop_ops epoll_ops = {
    .name = "epoll",
    .socket = epoll_socket,
    .close = tg_loop_tcp_close,
    .start = epoll_start,
    .cancel = epoll_cancel,
    .poll = epoll_poll,
    .wait = epoll_wait_ns,
    .wake = epoll_wake,
    .destroy = epoll_destroy,
};

struct tg_loop *tg_loop_epoll_create(const struct tg_loop_config *config, int *os_errno)
{
    (void)config;
    struct epoll_loop *self = aligned_alloc(alignof(struct epoll_loop), sizeof *self);
    if (self == NULL) {
        *os_errno = ENOMEM;
        return NULL;
    }
    memset(self, 0, sizeof *self);
    self->base.ops = &epoll_ops;
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0) {
        *os_errno = errno;
        goto release;
    }
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0) {
        *os_errno = errno;
        goto close_epoll;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = self->wake_fd};
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->wake_fd, &event) != 0) {
        *os_errno = errno;
        goto close_wake;
    }
    return &self->base;

close_wake:
    (void)close(self->wake_fd);
close_epoll:
    (void)close(self->epoll_fd);
release:
    free(self);
    return NULL;
}
