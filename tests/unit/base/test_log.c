/* Log lines as they leave on stderr, in each format; the limiter of a call site. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char line[32768];
static int pipe_fds[2];
static int real_stderr;

static void capture_begin(void)
{
    cr_assert_eq(pipe2(pipe_fds, O_NONBLOCK), 0);
    (void)fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    (void)dup2(pipe_fds[1], STDERR_FILENO);
}

/* What was written since capture_begin; pipes keep single writes together, so one read is one line. */
static const char *capture_end(void)
{
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    (void)close(pipe_fds[1]);
    const ssize_t bytes = read(pipe_fds[0], line, sizeof line - 1);
    line[bytes > 0 ? bytes : 0] = '\0';
    (void)close(pipe_fds[0]);
    return line;
}

static void configure(enum tg_log_format format, enum tg_log_level level)
{
    tg_log_configure(&(struct tg_log_config){.format = format, .level_min = level, .job = "purchase_count"});
}

/* The line behind its time stamp, whose shape is checked here. */
static const char *behind_stamp(const char *text, const char *front)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    cr_assert_eq(strncmp(text, front, strlen(front)), 0, "%s", text);
    text += strlen(front);
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        cr_assert(shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i], "%s", text);
    }
    return text + sizeof shape - 1;
}

Test(log, logfmt_has_time_level_code_job_shard_message_fields)
{
    configure(TG_LOG_AUTO, TG_LOG_INFO); /* a pipe is no terminal */
    capture_begin();
    tg_log(TG_LOG_WARN, TG1203, 3, "topic=tx retry_in=2s", "topic \"%s\" not found", "tx");
    cr_assert_str_eq(behind_stamp(capture_end(), "ts="),
                     " level=warn code=TG1203 job=purchase_count shard=3 msg=\"topic \\\"tx\\\" not found\""
                     " topic=tx retry_in=2s\n");
}

Test(log, what_there_is_none_of_is_left_out)
{
    tg_log_configure(&(struct tg_log_config){.format = TG_LOG_LOGFMT, .level_min = TG_LOG_INFO});
    capture_begin();
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "ready");
    cr_assert_str_eq(behind_stamp(capture_end(), "ts="), " level=info msg=\"ready\"\n");
}

Test(log, json_is_one_object_and_fields_become_members)
{
    configure(TG_LOG_JSON, TG_LOG_DEBUG);
    capture_begin();
    tg_log(TG_LOG_ERROR, TG1301, 0, "host=\"a \\\"b\\\"\" n=7 flag", "down\nagain");
    cr_assert_str_eq(behind_stamp(capture_end(), "{\"ts\":\""),
                     "\",\"level\":\"error\",\"code\":\"TG1301\",\"job\":\"purchase_count\",\"shard\":0,"
                     "\"msg\":\"down\\nagain\","
                     "\"host\":\"a \\\"b\\\"\",\"n\":7,\"flag\":true}\n");
}

Test(log, a_quote_that_never_ends_still_gives_an_object)
{
    configure(TG_LOG_JSON, TG_LOG_DEBUG);
    capture_begin();
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, "a=\"b c", "x");
    cr_assert_not_null(strstr(capture_end(), ",\"msg\":\"x\",\"a\":\"b c\"}\n"), "%s", line);
}

Test(log, text_is_short_and_without_colour_off_a_terminal)
{
    configure(TG_LOG_TEXT, TG_LOG_INFO);
    capture_begin();
    tg_log(TG_LOG_WARN, TG2201, 1, "brokers=b:9092", "waiting for Kafka");
    const char *text = capture_end();
    cr_assert_eq(text[2], ':');
    cr_assert_str_eq(text + 8, " warn  TG2201 waiting for Kafka shard=1 brokers=b:9092\n");
}

Test(log, control_characters_cannot_start_a_line_or_move_the_cursor)
{
    static const enum tg_log_format formats[] = {TG_LOG_TEXT, TG_LOG_LOGFMT, TG_LOG_JSON};
    for (int i = 0; i < 3; i++) {
        configure(formats[i], TG_LOG_INFO);
        capture_begin();
        tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, "f=a\033[2Jb\nc", "x\ny\033[31mz\r");
        const char *text = capture_end();
        cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "%s", text);
        cr_assert_null(strpbrk(text, "\033\r"), "%s", text);
    }
}

Test(log, levels_below_the_least_are_silent)
{
    configure(TG_LOG_LOGFMT, TG_LOG_WARN);
    capture_begin();
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, NULL, "x");
    tg_log(TG_LOG_DEBUG, TG_CODE_NONE, -1, NULL, "x");
    cr_assert_str_eq(capture_end(), "");
}

Test(log, a_line_too_long_loses_its_fields_and_stays_whole)
{
    char *fields = malloc(20001);
    char *message = malloc(20001);
    memset(fields, 'f', 20000);
    memset(message, '\001', 20000);
    fields[20000] = message[20000] = '\0';
    configure(TG_LOG_JSON, TG_LOG_INFO);
    capture_begin();
    tg_log(TG_LOG_INFO, TG_CODE_NONE, -1, fields, "%s", message);
    const char *text = capture_end();
    const size_t bytes = strlen(text);
    cr_assert_null(strstr(text, "ffff"));
    cr_assert_str_eq(text + bytes - 3, "\"}\n");
    cr_assert_gt(bytes, 6000);
    free(fields);
    free(message);
}

Test(log_limit, first_then_once_a_minute_with_the_number_held_back)
{
    struct tg_log_limit limit = {0};
    uint64_t suppressed = 99;
    const uint64_t start = 5000000000;
    cr_assert(tg_log_allowed(&limit, start, &suppressed));
    cr_assert_eq(suppressed, 0);
    for (int i = 0; i < 7; i++) { cr_assert(!tg_log_allowed(&limit, start + (uint64_t)i, &suppressed)); }
    cr_assert(!tg_log_allowed(&limit, start + 59999999999, &suppressed));
    cr_assert(tg_log_allowed(&limit, start + 60000000000, &suppressed));
    cr_assert_eq(suppressed, 8);
    cr_assert(!tg_log_allowed(&limit, start + 60000000001, &suppressed));
    cr_assert(tg_log_allowed(&limit, start + 200000000000, &suppressed));
    cr_assert_eq(suppressed, 1);
}
