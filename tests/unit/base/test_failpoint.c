/* Failpoints: what a plan says happens at that visit and at no other, and nothing wrong is armed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"

static void arm(const char *text)
{
    struct tg_error err = {0};
    tg_failpoint_reset();
    cr_assert_eq(tg_failpoint_arm(text, &err), TG_OK, "%s", err.text);
}

Test(failpoint, nothing_happens_unless_armed)
{
    tg_failpoint_reset();
    cr_assert(!tg_failpoints_armed);
    cr_assert_eq(TG_FAILPOINT("file.sync"), 0);
    arm(NULL);
    cr_assert(!tg_failpoints_armed);
    arm("");
    cr_assert(!tg_failpoints_armed);
}

Test(failpoint, an_error_comes_at_its_visit_only)
{
    arm("file.sync:3:error:EIO,file.append:2+:error:ENOSPC");
    for (int visit = 1; visit <= 6; visit++) {
        cr_assert_eq(TG_FAILPOINT("file.sync"), visit == 3 ? EIO : 0, "visit %d", visit);
        cr_assert_eq(TG_FAILPOINT("file.append"), visit >= 2 ? ENOSPC : 0, "visit %d", visit);
    }
}

Test(failpoint, an_error_comes_for_some_visits_and_then_no_more)
{
    arm("file.sync:2-4:error:ENOSPC,file.sync:6-6:error:EIO");
    static const int wanted[] = {0, ENOSPC, ENOSPC, ENOSPC, 0, EIO, 0};
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        cr_assert_eq(TG_FAILPOINT("file.sync"), wanted[i], "visit %u", i + 1);
    }
}

Test(failpoint, plans_add_up_and_reset_forgets_them)
{
    struct tg_error err = {0};
    arm("file.sync:1:error:EIO");
    cr_assert_eq(tg_failpoint_arm("file.append:1:error:EROFS", &err), TG_OK);
    cr_assert_eq(TG_FAILPOINT("file.append"), EROFS);
    tg_failpoint_reset();
    cr_assert_eq(TG_FAILPOINT("file.sync"), 0);
    arm("file.sync:1:error:EDQUOT");
    cr_assert_eq(TG_FAILPOINT("file.sync"), EDQUOT, "visits are counted from 1 again");
}

Test(failpoint, what_is_wrong_is_named_and_arms_nothing)
{
    static const char *const wrong[] = {
        "file.sink:1:kill", "file.sync", "file.sync:1", "file.sync:0:kill", "file.sync:-1:kill", "file.sync::kill",
        "file.sync:+:kill", "file.sync:1:die", "file.sync:1:error:EPERM", "file.sync:1:error:", "file.sync:1:delay:",
        "file.sync:1:delay:1h", "file.sync:1:delay:us", "file.sync:99999999999999999999999:kill",
        "file.append:1:kill,file.sync:1:", ":", ":::", "file.sync:3-2:kill", "file.sync:0-2:kill", "file.sync:2-:kill",
        "file.sync:-:kill", "file.sync:2-3+:kill",
    };
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tg_error err = {0};
        tg_failpoint_reset();
        cr_assert_eq(tg_failpoint_arm(wrong[i], &err), TG_ERR_USAGE, "%s", wrong[i]);
        cr_assert(strstr(err.text, "TURGO_FAILPOINT") != NULL);
        cr_assert(!tg_failpoints_armed, "%s", wrong[i]);
    }
}

static int wait_for(pid_t child, int options)
{
    int status = 0;
    cr_assert_eq(waitpid(child, &status, options), child);
    return status;
}

Test(failpoint, kill_leaves_nothing_behind_it)
{
    arm("file.sync:2:kill");
    const pid_t child = fork();
    if (child == 0) {
        if (TG_FAILPOINT("file.sync") != 0) { _exit(1); }
        (void)TG_FAILPOINT("file.sync");
        _exit(0);
    }
    const int status = wait_for(child, 0);
    cr_assert(WIFSIGNALED(status));
    cr_assert_eq(WTERMSIG(status), SIGKILL);
}

Test(failpoint, stop_waits_to_be_continued)
{
    arm("file.sync:1:stop");
    const pid_t child = fork();
    if (child == 0) { _exit(TG_FAILPOINT("file.sync") == 0 ? 7 : 1); }
    cr_assert(WIFSTOPPED(wait_for(child, WUNTRACED)));
    cr_assert_eq(kill(child, SIGCONT), 0);
    const int status = wait_for(child, 0);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 7);
}

Test(failpoint, delay_takes_its_time_and_goes_on)
{
    struct timespec before;
    struct timespec after;
    arm("file.sync:1:delay:30,file.sync:1:delay:300us");
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    cr_assert_eq(TG_FAILPOINT("file.sync"), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    const long passed_ns = (after.tv_sec - before.tv_sec) * 1000000000L + (after.tv_nsec - before.tv_nsec);
    cr_assert(passed_ns >= 30300000L && passed_ns < 330000000L, "%ld", passed_ns);
}

struct watched {
    uint64_t calls;
    uint64_t last;
};

static int visited(void *self, const char *name, uint64_t count)
{
    struct watched *watched = self;
    watched->calls++;
    watched->last = count;
    return strcmp(name, "file.append") == 0 && count == 2 ? ENOMEM : 0;
}

Test(failpoint, a_watcher_sees_every_visit_and_decides)
{
    struct watched watched = {0};
    tg_failpoint_reset();
    tg_failpoint_watch(visited, &watched);
    cr_assert_eq(TG_FAILPOINT("file.append"), 0);
    cr_assert_eq(TG_FAILPOINT("file.sync"), 0);
    cr_assert_eq(watched.last, 1);
    cr_assert_eq(TG_FAILPOINT("file.append"), ENOMEM);
    cr_assert_eq(watched.calls, 3);
    tg_failpoint_watch(NULL, NULL);
    cr_assert(!tg_failpoints_armed);
}

Test(failpoint, an_unlisted_name_is_a_bug, .signal = SIGABRT)
{
    struct watched watched = {0};
    tg_failpoint_watch(visited, &watched);
    (void)TG_FAILPOINT("no.such.place");
}

Test(failpoint, the_list_has_no_name_twice_and_none_with_separators)
{
    for (uint32_t i = 0; tg_failpoint_name(i) != NULL; i++) {
        cr_assert_null(strpbrk(tg_failpoint_name(i), ":, +"));
        for (uint32_t k = 0; k < i; k++) { cr_assert_str_neq(tg_failpoint_name(i), tg_failpoint_name(k)); }
    }
}
