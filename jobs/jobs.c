#include "jobs/jobs.h"

#include "engine/job.h"

void tg_jobs_register(void) { tg_operator_register(&tg_operator_purchase_count); }
