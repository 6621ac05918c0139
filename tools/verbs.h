/* The verbs of the turgo command: each reads its own arguments (argv[0] is the verb) and returns the exit code. */
#ifndef TG_TOOLS_VERBS_H
#define TG_TOOLS_VERBS_H

int tg_verb_gen(int argc, char **argv);

#endif
