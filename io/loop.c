/* The I/O loop's common part: choice of backend, which operation runs on which descriptor, ordered closing of
 * descriptors, and sleeping. System calls that move bytes are the backends'. */
#include "io/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/loop_backend.h"

enum {
    FD_COUNT_MAX = 1 << 20,
    CLOSE_ROUNDS_MAX = 3000, /* of CLOSE_WAIT_NS: a kernel that keeps a buffer half a minute after a cancel is broken */
    CLOSE_WAIT_NS = 10000000,
};

/* Descriptor table: address space for every number the process may get, committed by use. */
static tg_status fds_open(struct tg_loop *loop, struct tg_error *err)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) { return tg_fail(err, TG1601, errno, "read the descriptor limit"); }
    loop->fd_count = limit.rlim_cur > FD_COUNT_MAX ? FD_COUNT_MAX : (uint32_t)limit.rlim_cur;
    const size_t bytes = loop->fd_count * sizeof(struct tg_loop_fd);
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED) { return tg_fail(err, TG1601, errno, "reserve %zu bytes for descriptors", bytes); }
    loop->fds = table;
    return TG_OK;
}

tg_status tg_loop_init(struct tg_loop *loop, const struct tg_loop_config *config, struct tg_error *err)
{
    loop->ops_max = config->ops_max;
    return fds_open(loop, err);
}

static struct tg_loop *backend_create(const struct tg_loop_config *config, int *denied, int *os_errno)
{
    struct tg_loop *loop = NULL;
    if (config->backend != TG_LOOP_EPOLL) {
        loop = tg_loop_uring_create(config, os_errno);
        if (loop == NULL && config->backend == TG_LOOP_AUTO) { *denied = *os_errno; }
    }
    if (loop == NULL && config->backend != TG_LOOP_URING) { loop = tg_loop_epoll_create(config, os_errno); }
    return loop;
}

tg_status tg_loop_open(struct tg_loop **loop, const struct tg_loop_config *config, int *denied, struct tg_error *err)
{
    TG_ASSERT(config->ops_max > 0);
    int refused = 0;
    int os_errno = 0;
    struct tg_loop *made = backend_create(config, &refused, &os_errno);
    if (denied != NULL) { *denied = refused; }
    if (made == NULL) {
        return tg_fail(err, TG1601, os_errno, "open the %s I/O loop",
                       config->backend == TG_LOOP_URING ? "io_uring" : "epoll");
    }
    const tg_status status = tg_loop_init(made, config, err);
    if (status != TG_OK) {
        made->ops->destroy(made);
        return status;
    }
    *loop = made;
    return TG_OK;
}

static void cancel_all(struct tg_loop *loop)
{
    for (uint32_t fd = 0; fd < loop->fd_used; fd++) {
        struct tg_loop_fd *entry = &loop->fds[fd];
        if (entry->in != NULL) { loop->ops->cancel(loop, entry->in); }
        if (entry->out != NULL) { loop->ops->cancel(loop, entry->out); }
    }
}

void tg_loop_close(struct tg_loop *loop)
{
    loop->closing = true;
    cancel_all(loop);
    for (uint32_t round = 0; loop->in_flight > 0 || loop->refused != NULL; round++) {
        TG_ASSERT(round < CLOSE_ROUNDS_MAX);
        if (tg_loop_poll(loop) == 0) { loop->ops->wait(loop, CLOSE_WAIT_NS); }
    }
    TG_ASSERT(munmap(loop->fds, loop->fd_count * sizeof(struct tg_loop_fd)) == 0);
    loop->ops->destroy(loop);
}

const char *tg_loop_name(const struct tg_loop *loop) { return loop->ops->name; }

int tg_loop_tcp_socket(int family, int type_flags)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | type_flags, IPPROTO_TCP);
    if (fd < 0) { return -errno; }
    const int on = 1;
    const int idle_s = 10;
    const int interval_s = 5;
    const int probes = 3;
    /* Each of these only improves latency or failure detection; a refusal is not worth losing the connection. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    return fd;
}

void tg_loop_tcp_close(struct tg_loop *loop, int fd)
{
    (void)loop;
    (void)close(fd);
}

int tg_loop_socket(struct tg_loop *loop, int family)
{
    const int fd = loop->ops->socket(loop, family);
    if (fd >= 0 && (uint32_t)fd >= loop->fd_count) {
        loop->ops->close(loop, fd);
        return -EMFILE;
    }
    return fd;
}

static void start(struct tg_loop *loop, struct tg_io *io, int fd, enum tg_io_kind kind)
{
    TG_ASSERT(io->done != NULL);
    TG_ASSERT(fd >= 0 && (uint32_t)fd < loop->fd_count);
    io->fd = fd;
    io->kind = kind;
    io->moved = 0;
    io->flags = 0;
    io->next = NULL;
    io->prev = NULL;
    if (loop->closing) {
        io->next = loop->refused;
        loop->refused = io;
        return;
    }
    struct tg_loop_fd *entry = &loop->fds[fd];
    struct tg_io **slot = kind == TG_IO_CONNECT || kind == TG_IO_SEND ? &entry->out : &entry->in;
    TG_ASSERT(*slot == NULL);
    TG_ASSERT((entry->flags & TG_FD_CLOSING) == 0);
    TG_ASSERT(loop->in_flight < loop->ops_max);
    *slot = io;
    loop->in_flight++;
    if (loop->fd_used <= (uint32_t)fd) { loop->fd_used = (uint32_t)fd + 1; }
}

void tg_loop_connect(struct tg_loop *loop, struct tg_io *io, int fd, const struct sockaddr *address, socklen_t bytes)
{
    io->data = NULL;
    io->bytes = 0;
    start(loop, io, fd, TG_IO_CONNECT);
    if (!loop->closing) { loop->ops->start(loop, io, address, bytes); }
}

void tg_loop_recv(struct tg_loop *loop, struct tg_io *io, int fd, void *data, uint32_t bytes, bool all)
{
    TG_ASSERT(bytes > 0 && bytes <= INT32_MAX);
    io->data = data;
    io->bytes = bytes;
    start(loop, io, fd, all ? TG_IO_RECV_ALL : TG_IO_RECV);
    if (!loop->closing) { loop->ops->start(loop, io, NULL, 0); }
}

void tg_loop_send(struct tg_loop *loop, struct tg_io *io, int fd, const void *data, uint32_t bytes)
{
    TG_ASSERT(bytes > 0 && bytes <= INT32_MAX);
    io->data = (void *)(uintptr_t)data;
    io->bytes = bytes;
    start(loop, io, fd, TG_IO_SEND);
    if (!loop->closing) { loop->ops->start(loop, io, NULL, 0); }
}

static void fd_close_when_empty(struct tg_loop *loop, int fd)
{
    struct tg_loop_fd *entry = &loop->fds[fd];
    if ((entry->flags & TG_FD_CLOSING) == 0 || entry->in != NULL || entry->out != NULL) { return; }
    entry->flags = 0; /* before close: the number may come back with the next socket */
    loop->ops->close(loop, fd);
}

void tg_loop_shutdown(struct tg_loop *loop, int fd)
{
    TG_ASSERT(fd >= 0 && (uint32_t)fd < loop->fd_count);
    struct tg_loop_fd *entry = &loop->fds[fd];
    TG_ASSERT((entry->flags & TG_FD_CLOSING) == 0);
    entry->flags |= TG_FD_CLOSING;
    if (!loop->closing) { /* tg_loop_close has cancelled them already */
        if (entry->in != NULL) { loop->ops->cancel(loop, entry->in); }
        if (entry->out != NULL) { loop->ops->cancel(loop, entry->out); }
    }
    fd_close_when_empty(loop, fd);
}

void tg_loop_finish(struct tg_loop *loop, struct tg_io *io, int32_t result)
{
    struct tg_loop_fd *entry = &loop->fds[io->fd];
    const bool cancelled = loop->closing || (entry->flags & TG_FD_CLOSING) != 0;
    if (entry->in == io) {
        entry->in = NULL;
    } else {
        TG_ASSERT(entry->out == io);
        entry->out = NULL;
    }
    TG_ASSERT(loop->in_flight > 0);
    loop->in_flight--;
    fd_close_when_empty(loop, io->fd);
    /* A result that raced with the cancel is dropped: both backends then report a shut down descriptor alike. */
    io->done(io, cancelled ? -ECANCELED : result);
}

static uint32_t refused_finish(struct tg_loop *loop)
{
    uint32_t count = 0;
    struct tg_io *io = loop->refused;
    loop->refused = NULL; /* whatever a `done` starts now waits for the next poll */
    while (io != NULL) {
        struct tg_io *next = io->next;
        io->done(io, -ECANCELED);
        io = next;
        count++;
    }
    return count;
}

uint32_t tg_loop_poll(struct tg_loop *loop)
{
    const uint32_t refused = loop->refused != NULL ? refused_finish(loop) : 0;
    return refused + loop->ops->poll(loop);
}

void tg_loop_park(struct tg_loop *loop, uint64_t timeout_ns, bool (*still_idle)(void *self), void *self)
{
    if (timeout_ns == 0 || loop->refused != NULL) { return; }
    atomic_store_explicit(&loop->parked, 1, memory_order_seq_cst);                                        /* S1 */
    const uint64_t sequence = atomic_load_explicit(&loop->wake_sequence, memory_order_seq_cst);          /* S2 */
    if (sequence == loop->wake_seen && (still_idle == NULL || still_idle(self))) {
        loop->ops->wait(loop, timeout_ns);
    }
    atomic_store_explicit(&loop->parked, 0, memory_order_seq_cst);
    loop->wake_seen = atomic_load_explicit(&loop->wake_sequence, memory_order_seq_cst);
}

void tg_loop_wake(struct tg_loop *loop)
{
    atomic_fetch_add_explicit(&loop->wake_sequence, 1, memory_order_seq_cst);             /* W1 */
    if (atomic_load_explicit(&loop->parked, memory_order_seq_cst) == 0) { return; }       /* W2, the usual case */
    if (atomic_exchange_explicit(&loop->parked, 0, memory_order_seq_cst) != 0) { loop->ops->wake(loop); } /* W2 */
}
