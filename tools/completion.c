/* turgo completion: words for the shell, from the tables that parse the command line. */
#include <stdio.h>
#include <string.h>

#include "tools/report.h"
#include "tools/verbs.h"

static void print_flags(const struct tg_verb *verb)
{
    (void)printf("    %s) words=\"--help", verb->name);
    for (uint32_t i = 0; i < verb->flag_count; i++) { (void)printf(" --%s", verb->flags[i].name); }
    (void)puts("\" ;;");
}

/* What may follow a flag: its words, else files. */
static void print_values(const struct tg_flag *flag)
{
    if (flag->kind != TG_OPTION_CHOICE) { return; }
    (void)printf("    --%s) words=\"", flag->name);
    for (const char *c = flag->choices; *c != '\0'; c++) { (void)putchar(*c == '|' ? ' ' : *c); }
    (void)puts("\" ;;");
}

/* What a verb's first argument may be, where the table says it in words: "list|verify|dump [JOB.yaml]". */
static void print_actions(const struct tg_verb *verb)
{
    const char *text = verb->arguments != NULL ? verb->arguments : "";
    const size_t bytes = strcspn(text, " ");
    if (memchr(text, '|', bytes) == NULL || strcspn(text, " [") != bytes) { return; }
    (void)printf("    %s) words=\"", verb->name);
    for (size_t i = 0; i < bytes; i++) { (void)putchar(text[i] == '|' ? ' ' : text[i]); }
    (void)puts("\" ;;");
}

static void print_bash(void)
{
    (void)fputs("# Completion of turgo for bash: source <(turgo completion bash)\n"
                "_turgo()\n{\n"
                "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\"\"\n"
                "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "    words=\"--help --version",
                stdout);
    for (uint32_t i = 0; i < tg_verb_count; i++) {
        if (!tg_verbs[i].hidden) { (void)printf(" %s", tg_verbs[i].name); }
    }
    (void)fputs("\"\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n    return\n  fi\n"
                "  case $before in\n",
                stdout);
    for (uint32_t i = 0; i < tg_verb_count; i++) {
        for (uint32_t k = 0; k < tg_verbs[i].flag_count; k++) { print_values(&tg_verbs[i].flags[k]); }
    }
    (void)fputs("  esac\n"
                "  if [ -z \"$words\" ] && [[ $word == -* ]]; then\n"
                "    case ${COMP_WORDS[1]} in\n",
                stdout);
    for (uint32_t i = 0; i < tg_verb_count; i++) { print_flags(&tg_verbs[i]); }
    (void)fputs("    esac\n"
                "  elif [ -z \"$words\" ] && [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                "    case ${COMP_WORDS[1]} in\n",
                stdout);
    for (uint32_t i = 0; i < tg_verb_count; i++) { print_actions(&tg_verbs[i]); }
    (void)fputs("    esac\n  fi\n"
                "  if [ -n \"$words\" ]; then\n"
                "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "  else\n"
                "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
                "  fi\n}\n"
                "complete -o filenames -F _turgo turgo\n",
                stdout);
}

int tg_verb_completion(int argc, char **argv)
{
    struct tg_args args;
    const int code = tg_args_parse(argc, argv, &args);
    if (code != 0) { return code; }
    if (strcmp(args.positional[0], "bash") != 0) { return tg_usage_error("no completion for that shell", "bash"); }
    print_bash();
    return 0;
}
