/* The jobs that ship with turgo. */
#ifndef TG_JOBS_JOBS_H
#define TG_JOBS_JOBS_H

struct tg_operator;

extern const struct tg_operator tg_operator_purchase_count;

/* Make the shipped operators known to the job loader.  @setup */
void tg_jobs_register(void);

#endif
