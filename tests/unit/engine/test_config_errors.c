/* Every kind of finding, word for word: a line of the fixture is replaced (or a --set given) and the printed text
 * compared. A few goldens have the text as it is printed; for the others the frame is taken off first: "error", the
 * padding, the exit code and the quoted line go, and a mark follows its place ("job.yaml:14:47 ^^^  hint"), after the
 * frame was found to be true: the mark stands below what the place says. When a message changes on purpose, change it
 * in the goldens, too. */
#include "tests/unit/engine/config_fixture.h"
#include "tests/unit/engine/config_goldens_frames.h"
#include "tests/unit/engine/config_goldens_names.h"
#include "tests/unit/engine/config_goldens_values.h"

static char printed[sizeof fixture_findings];

static const char *load_and_print(const struct golden *golden)
{
    const char *replacement = golden->replacement != NULL ? golden->replacement : "";
    const char *text = fixture_with(golden->line, replacement, golden->tail != NULL ? golden->tail : "");
    struct tg_job *job = fixture_load(text, golden->profile, golden->set != NULL ? 1 : 0, &golden->set);
    cr_expect_null(job, "%s loads", golden->name);
    tg_job_destroy(job);
    size_t used = 0;
    printed[0] = '\0';
    for (uint32_t i = 0; i < fixture_findings.count; i++) {
        used += (size_t)snprintf(printed + used, sizeof printed - used, "%s", fixture_findings.list[i].text);
    }
    return printed;
}

/* The text of the file from line and column on; NULL when there is no such place. */
static const char *text_at(const char *text, uint32_t line, uint32_t column)
{
    for (uint32_t i = 1; i < line && text != NULL; i++) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return text != NULL && strcspn(text, "\n") + 1 >= column ? text + column - 1 : NULL;
}

/* The mark must stand below the text that the place names. */
static void check_mark(const struct golden *golden, const char *place, const char *mark)
{
    uint32_t line = 0;
    uint32_t column = 0;
    if (sscanf(place, " job.yaml:%u:%u", &line, &column) != 2) { return; }
    const char *source = text_at(fixture_text, line, column);
    cr_expect_not_null(source, "%s: no such place", golden->name);
    if (source != NULL) { source += strspn(source, "\t"); } /* a line is quoted without what indents it */
    const size_t before = strspn(mark, " ");
    if (source == NULL || *source == '\n' || strcspn(place, "\n") <= before) { return; }
    size_t width = strspn(mark + before, "^");
    if (before + width > strcspn(place, "\n")) { width = strcspn(place, "\n") - before; }
    cr_expect_eq(strncmp(source, place + before, width), 0, "%s: the mark points elsewhere", golden->name);
}

static bool is_place(const char *line)
{
    uint32_t row;
    uint32_t column;
    return strncmp(line, "  --set ", 8) == 0 || strncmp(line, "  env ", 6) == 0 ||
           sscanf(line, "  job.yaml:%u:%u ", &row, &column) == 2;
}

/* `text` without the frame, into out. */
static void unframe(const struct golden *golden, const char *text, char *out)
{
    const char *place = "";
    size_t used = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const int bytes = (int)strcspn(line, "\n");
        const int blanks = (int)strspn(line, " ");
        if (strncmp(line, "error ", 6) == 0) {
            int end = bytes - (int)strlen("  exit 78");
            cr_expect(end > 6 && strncmp(line + end, "  exit 78", 9) == 0, "%s: no exit code", golden->name);
            while (end > 0 && line[end - 1] == ' ') { end--; }
            used += (size_t)snprintf(out + used, sizeof printed - used, "%.*s\n", end - 6, line + 6);
        } else if (line[blanks] == '^') {
            check_mark(golden, place, line);
            used +=
                (size_t)snprintf(out + used - 1, sizeof printed - used, " %.*s\n", bytes - blanks, line + blanks) - 1;
        } else if (is_place(line)) {
            place = line;
            used +=
                (size_t)snprintf(out + used, sizeof printed - used, "%.*s\n", (int)strcspn(line + 2, " "), line + 2);
        } else {
            used += (size_t)snprintf(out + used, sizeof printed - used, "  %.*s\n", bytes - blanks, line + blanks);
        }
    }
    out[used] = '\0';
}

static void check(const struct golden *golden)
{
    static char plain[sizeof printed];
    unframe(golden, load_and_print(golden), plain);
    cr_expect_str_eq(plain, golden->expected, "%s prints\n%sinstead of\n%s", golden->name, plain, golden->expected);
}

Test(config_errors, findings_are_framed_as_they_should)
{
    for (size_t i = 0; i < TG_COUNT_OF(goldens_frames); i++) {
        const struct golden *golden = &goldens_frames[i];
        const char *text = load_and_print(golden);
        cr_expect_str_eq(text, golden->expected, "%s prints\n%sinstead of\n%s", golden->name, text, golden->expected);
    }
}

Test(config_errors, findings_about_values_read_as_they_should)
{
    cr_assert_eq(unsetenv("UNSET"), 0);
    for (size_t i = 0; i < TG_COUNT_OF(goldens_values); i++) { check(&goldens_values[i]); }
}

Test(config_errors, findings_about_names_read_as_they_should)
{
    for (size_t i = 0; i < TG_COUNT_OF(goldens_names); i++) { check(&goldens_names[i]); }
}

Test(config_errors, the_fixture_itself_loads)
{
    struct tg_job *job = fixture_must_load(fixture_with(0, "", ""), NULL, 0, NULL);
    tg_job_destroy(job);
}

Test(config_errors, at_most_32_findings_in_the_order_of_the_file)
{
    char text[4096];
    size_t used = 0;
    for (int i = 0; i < 50; i++) { used += (size_t)snprintf(text + used, sizeof text - used, "unknown_%d: 1\n", i); }
    struct tg_job *job = fixture_load(text, NULL, 0, NULL);
    cr_assert_null(job);
    cr_assert_eq(fixture_findings.count, 32);
    cr_assert_not_null(strstr(fixture_findings.list[0].text, "\"unknown_0\""));
    cr_assert_not_null(strstr(fixture_findings.list[31].text, "\"unknown_31\""));
}

Test(config_errors, control_characters_of_a_file_never_reach_the_terminal)
{
    struct tg_job *job = fixture_load("\"\\e[31mjob\\a\": 1\n", NULL, 0, NULL);
    cr_assert_null(job);
    for (uint32_t i = 0; i < fixture_findings.count; i++) {
        for (const char *c = fixture_findings.list[i].text; *c != '\0'; c++) {
            cr_assert(*c == '\n' || (unsigned char)*c >= 0x20);
        }
    }
}

Test(config_errors, the_worst_status_is_returned)
{
    struct tg_job *job = NULL;
    const struct tg_job_options options = {.environment = true};
    cr_assert_eq(tg_job_load_text(&job, "job.yaml", "x: 1\n", &options, &fixture_findings), TG_ERR_CONFIG);
    cr_assert_null(job);
}
