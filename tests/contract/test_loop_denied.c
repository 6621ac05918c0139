/* Where the kernel denies io_uring, AUTO gives epoll and says why. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/contract/loop_fixture.h"

/* What Docker's default seccomp profile (EPERM) and old kernels (ENOSYS) do. */
static void deny_io_uring(int os_errno)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)os_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void denied_means_epoll(int os_errno)
{
    deny_io_uring(os_errno); /* each test has a process of its own */
    struct tg_loop *loop = NULL;
    struct tg_error err = {0};
    int denied = 0;
    struct tg_loop_config config = {.backend = TG_LOOP_AUTO, .ops_max = 16};
    cr_assert_eq(tg_loop_open(&loop, &config, &denied, &err), TG_OK, "%s", err.text);
    cr_assert_eq(denied, os_errno);
    cr_assert_str_eq(tg_loop_name(loop), "epoll");
    int fd, peer;
    connected(loop, &fd, &peer);
    tg_loop_shutdown(loop, fd);
    (void)close(peer);
    tg_loop_close(loop);
    config.backend = TG_LOOP_URING;
    cr_assert_eq(tg_loop_open(&loop, &config, &denied, &err), TG_ERR_IO);
    cr_assert_eq(err.os_errno, os_errno);
    cr_assert_eq(denied, 0);
}

Test(loop_auto, falls_back_to_epoll_when_io_uring_is_forbidden) { denied_means_epoll(EPERM); }
Test(loop_auto, falls_back_to_epoll_when_io_uring_does_not_exist) { denied_means_epoll(ENOSYS); }
