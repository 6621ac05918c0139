/* The operators linked into this command. Filled once at start-up, read-only afterwards. */
#include <string.h>

#include "base/assert.h"
#include "engine/job.h"
#include "engine/layout.h"

static const struct tg_operator *operators[TG_OPERATORS_MAX];
static uint32_t operator_count;

const struct tg_operator *tg_operator_find(const char *name)
{
    for (uint32_t i = 0; i < operator_count; i++) {
        if (strcmp(operators[i]->name, name) == 0) { return operators[i]; }
    }
    return NULL;
}

void tg_operator_register(const struct tg_operator *op)
{
    TG_ASSERT(op->abi == TG_ABI);
    TG_ASSERT(op->output_count >= 1 && op->output_count <= TG_OUTPUTS_MAX);
    TG_ASSERT(op->timer_count <= TG_TIMERS_MAX);
    tg_record_check(op->input);
    tg_record_check(op->state);
    tg_record_check(op->params);
    for (uint32_t i = 0; i < op->output_count; i++) { tg_record_check(op->outputs[i]); }
    /* A counter starts again when state is forgotten; only event time keeps growing. */
    TG_ASSERT(!op->may_forget || op->revision == TG_REVISION_EVENT_TIME);
    const struct tg_operator *known = tg_operator_find(op->name);
    TG_ASSERT(known == NULL || known == op);
    if (known != NULL) { return; }
    TG_ASSERT(operator_count < TG_OPERATORS_MAX);
    operators[operator_count++] = op;
}

uint32_t tg_operator_names(const char *names[TG_OPERATORS_MAX])
{
    for (uint32_t i = 0; i < operator_count; i++) { names[i] = operators[i]->name; }
    return operator_count;
}
