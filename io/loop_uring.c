/* The I/O loop over io_uring. One ring per shard, made by the thread that uses it (single issuer). Sockets are blocking
 * ones: on an O_NONBLOCK socket the kernel answers -EAGAIN instead of waiting for data. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/loop_backend.h"

enum {
    SQ_ENTRIES_MAX = 4096,
    CQ_ENTRIES_MAX = 65536,
    CQE_BATCH = 64,
    SUBMIT_TRIES_MAX = 1000,
    /* user_data of completions that are not operations; no pointer has these values */
    UDATA_CANCEL = 1,
    UDATA_WAKE = 2,
};

struct uring {
    struct tg_loop base;
    struct io_uring ring;
    int wake_fd;
    bool wake_armed;
    uint64_t wake_value; /* target of the eventfd read */
};

static struct uring *self_of(struct tg_loop *loop) { return (struct uring *)(void *)loop; }

/* Hand the queued entries to the kernel and run its deferred work. Only a lost completion is fatal: its buffer would
 * belong to the kernel for ever. */
static void enter(struct uring *self)
{
    const int result = io_uring_submit_and_get_events(&self->ring);
    TG_ASSERT(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM);
}

static struct io_uring_sqe *sqe_get(struct uring *self)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    for (uint32_t try = 0; sqe == NULL; try++) { /* full: submit makes room */
        TG_ASSERT(try < SUBMIT_TRIES_MAX);
        enter(self);
        sqe = io_uring_get_sqe(&self->ring);
    }
    return sqe;
}

static int uring_socket(struct tg_loop *loop, int family)
{
    (void)loop;
    return tg_loop_tcp_socket(family, 0);
}

static void submit_transfer(struct uring *self, struct tg_io *io)
{
    struct io_uring_sqe *sqe = sqe_get(self);
    uint8_t *rest = (uint8_t *)io->data + io->moved;
    const uint32_t bytes = io->bytes - io->moved;
    if (io->kind == TG_IO_SEND) { /* MSG_WAITALL: newer kernels finish short sends themselves */
        io_uring_prep_send(sqe, io->fd, rest, bytes, MSG_NOSIGNAL | MSG_WAITALL);
    } else {
        io_uring_prep_recv(sqe, io->fd, rest, bytes, io->kind == TG_IO_RECV_ALL ? MSG_WAITALL : 0);
    }
    io_uring_sqe_set_data(sqe, io);
}

static void uring_start(struct tg_loop *loop, struct tg_io *io, const struct sockaddr *address, socklen_t address_bytes)
{
    struct uring *self = self_of(loop);
    if (io->kind != TG_IO_CONNECT) {
        submit_transfer(self, io);
        return;
    }
    struct io_uring_sqe *sqe = sqe_get(self);
    io_uring_prep_connect(sqe, io->fd, address, address_bytes);
    io_uring_sqe_set_data(sqe, io);
    /* The kernel copies the address when it takes the entry: submit now, so that the caller need not keep it. */
    for (uint32_t try = 0; io_uring_sq_ready(&self->ring) > 0; try++) {
        TG_ASSERT(try < SUBMIT_TRIES_MAX);
        enter(self);
    }
}

static void uring_cancel(struct tg_loop *loop, struct tg_io *io)
{
    struct io_uring_sqe *sqe = sqe_get(self_of(loop));
    io_uring_prep_cancel(sqe, io, 0);
    io_uring_sqe_set_data64(sqe, UDATA_CANCEL);
}

static void wake_arm(struct uring *self)
{
    if (self->wake_armed) { return; }
    struct io_uring_sqe *sqe = sqe_get(self);
    io_uring_prep_read(sqe, self->wake_fd, &self->wake_value, sizeof self->wake_value, 0);
    io_uring_sqe_set_data64(sqe, UDATA_WAKE);
    self->wake_armed = true;
}

/* True when the operation goes on: a part was moved, or the kernel asks to try again. */
static bool goes_on(struct uring *self, struct tg_io *io, int32_t result)
{
    const bool ends = self->base.closing || (self->base.fds[io->fd].flags & TG_FD_CLOSING) != 0;
    if (ends || io->kind == TG_IO_CONNECT) { return false; }
    if (result == -EINTR) { return true; }
    if (result == -EAGAIN) { /* a socket from elsewhere with O_NONBLOCK */
        const int flags = fcntl(io->fd, F_GETFL);
        return flags >= 0 && (flags & O_NONBLOCK) != 0 && fcntl(io->fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
    }
    if (result <= 0) { return false; }
    io->moved += (uint32_t)result;
    return io->kind != TG_IO_RECV && io->moved < io->bytes;
}

static uint32_t complete(struct uring *self, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == UDATA_CANCEL || cqe->user_data == LIBURING_UDATA_TIMEOUT) { return 0; }
    if (cqe->user_data == UDATA_WAKE) {
        self->wake_armed = false;
        return 0;
    }
    struct tg_io *io = io_uring_cqe_get_data(cqe);
    if (goes_on(self, io, cqe->res)) {
        submit_transfer(self, io);
        return 0;
    }
    int32_t result = cqe->res;
    if (io->kind != TG_IO_CONNECT && result >= 0) { result = (int32_t)io->moved; }
    tg_loop_finish(&self->base, io, result);
    return 1;
}

/* Only what is ready now: a `done` that starts an operation at once complete must not keep us here. */
static uint32_t reap(struct uring *self)
{
    uint32_t ran = 0;
    for (uint32_t ready = io_uring_cq_ready(&self->ring); ready > 0;) {
        struct io_uring_cqe *cqes[CQE_BATCH];
        const unsigned count = io_uring_peek_batch_cqe(&self->ring, cqes, ready < CQE_BATCH ? ready : CQE_BATCH);
        if (count == 0) { break; }
        for (unsigned i = 0; i < count; i++) {
            const struct io_uring_cqe cqe = {.user_data = cqes[i]->user_data, .res = cqes[i]->res};
            io_uring_cq_advance(&self->ring, 1); /* before `done`, which may enter the kernel */
            ran += complete(self, &cqe);
        }
        ready -= count;
    }
    return ran;
}

static uint32_t uring_poll(struct tg_loop *loop)
{
    struct uring *self = self_of(loop);
    wake_arm(self);
    const unsigned flags = IO_URING_READ_ONCE(*self->ring.sq.kflags);
    if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 || io_uring_sq_ready(&self->ring) > 0) {
        enter(self);
    }
    return reap(self);
}

static void uring_wait(struct tg_loop *loop, uint64_t timeout_ns)
{
    struct uring *self = self_of(loop);
    wake_arm(self);
    if (io_uring_cq_ready(&self->ring) > 0) { return; }
    struct __kernel_timespec timeout = {
        .tv_sec = (int64_t)(timeout_ns / 1000000000u),
        .tv_nsec = (long long)(timeout_ns % 1000000000u),
    };
    struct io_uring_cqe *unused = NULL;
    /* The result is the number submitted, -ETIME or -EINTR: none of them says whether a completion is there. */
    const int result = io_uring_submit_and_wait_timeout(&self->ring, &unused, 1, &timeout, NULL);
    TG_ASSERT(result != -EBADR && result != -EEXIST && result != -EINVAL);
}

static void uring_wake(struct tg_loop *loop)
{
    const uint64_t one = 1;
    const ssize_t written = write(self_of(loop)->wake_fd, &one, sizeof one);
    TG_ASSERT(written == sizeof one);
}

static void uring_destroy(struct tg_loop *loop)
{
    struct uring *self = self_of(loop);
    if (self->wake_armed) { uring_wake(loop); } /* ends the read, whose target is freed below */
    for (uint32_t try = 0; self->wake_armed; try++) {
        TG_ASSERT(try < SUBMIT_TRIES_MAX);
        uring_wait(loop, 1000000);
        (void)reap(self);
    }
    io_uring_queue_exit(&self->ring);
    (void)close(self->wake_fd);
    free(self);
}

static const struct tg_loop_ops uring_ops = {
    .name = "io_uring",
    .socket = uring_socket,
    .close = tg_loop_tcp_close,
    .start = uring_start,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .wait = uring_wait,
    .wake = uring_wake,
    .destroy = uring_destroy,
};

static uint32_t power_of_two(uint32_t at_least, uint32_t max)
{
    uint32_t power = 16;
    while (power < at_least && power < max) { power *= 2; }
    return power;
}

/* What the code above relies on: Linux 5.15 at the latest has it all. */
static bool capable(struct io_uring *ring)
{
    const uint32_t features = IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG;
    if ((ring->features & features) != features) { return false; }
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (probe == NULL) { return false; }
    const bool all = io_uring_opcode_supported(probe, IORING_OP_CONNECT) &&
                     io_uring_opcode_supported(probe, IORING_OP_SEND) &&
                     io_uring_opcode_supported(probe, IORING_OP_RECV) &&
                     io_uring_opcode_supported(probe, IORING_OP_READ) &&
                     io_uring_opcode_supported(probe, IORING_OP_ASYNC_CANCEL);
    io_uring_free_probe(probe);
    return all;
}

/* From the cheapest way of being told of completions (6.1) to the plain one. 0 or -errno. */
static int ring_open(struct io_uring *ring, uint32_t ops_max)
{
    static const uint32_t ladder[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    const uint32_t entries = power_of_two(ops_max, SQ_ENTRIES_MAX);
    int result = -EINVAL;
    for (uint32_t i = 0; i < sizeof ladder / sizeof ladder[0] && result == -EINVAL; i++) {
        struct io_uring_params params = {.flags = ladder[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP};
        /* An operation and its cancel can complete unseen together; NODROP keeps what would still not fit. */
        params.cq_entries = power_of_two(2 * ops_max + 64, CQ_ENTRIES_MAX);
        result = io_uring_queue_init_params(entries, ring, &params);
    }
    if (result < 0) { return result; }
    if (!capable(ring)) {
        io_uring_queue_exit(ring);
        return -ENOSYS;
    }
    (void)io_uring_register_ring_fd(ring); /* saves a descriptor look-up per entry; optional */
    return 0;
}

struct tg_loop *tg_loop_uring_create(const struct tg_loop_config *config, int *os_errno)
{
    struct uring *self = aligned_alloc(alignof(struct uring), sizeof *self);
    if (self == NULL) {
        *os_errno = ENOMEM;
        return NULL;
    }
    memset(self, 0, sizeof *self);
    const int result = ring_open(&self->ring, config->ops_max);
    if (result < 0) {
        *os_errno = -result;
        goto release;
    }
    self->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (self->wake_fd < 0) {
        *os_errno = errno;
        goto exit_ring;
    }
    self->base.ops = &uring_ops;
    return &self->base;

exit_ring:
    io_uring_queue_exit(&self->ring);
release:
    free(self);
    return NULL;
}
