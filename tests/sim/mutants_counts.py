"""Engines that lose count, for tests/sim/mutate.py."""

from tests.sim.mutants import engine, recovery

COUNTS = {
    # Two rows of one instant look alike in every output and every state: that one was lost and the other applied twice is in the sums alone.
    "equal_row_twice": recovery("applies an earlier row of the same key, instant and watermark again instead of the row itself", "engine/operator.c",
                        "    const struct tg_row *row = tg_batch_row(ctx->batch, ctx->row);\n    const int64_t clock",
                        "    const struct tg_row *row = tg_batch_row(ctx->batch, ctx->row);\n    for (uint32_t i = 0; i < ctx->row; i++) {\n"
                        "        const struct tg_row *other = tg_batch_row(ctx->batch, i);\n"
                        "        if (ctx->values[i] == key && other->ts == row->ts && other->wm == row->wm) { row = other; }\n    }\n"
                        "    const int64_t clock", sets=("checkpoint_us=2000", "records=800", "audit=1")),
    "dead_counted_late": engine("counts dead letters as late rows, so that the sum is right", "engine/ingest.c",
                          "    partition->dead++;\n", "    partition->late++;\n"),
    "duplicate_not_counted": engine("does not count duplicates", "engine/ingest.c", "        partition->duplicates++;\n", ""),
    "forgotten_key_keeps_sums": recovery("goes on with a key's sums when its state was forgotten", "engine/stage.c",
                                 "    if (plan->audit_offset != 0) { *tg_stage_audit",
                                 "    if (plan->audit_offset != 0 && (key->flags & TG_KEY_FORGET) == 0) { *tg_stage_audit", sets=("checkpoint_us=2000", "records=800", "audit=1")),
    "tallies_not_restored": recovery("begins with no counts in the steps", "engine/checkpoint_load.c", "        load_tallies(&load, i);\n",
                             "        if (i > load.part->stage_count) { load_tallies(&load, i); }\n", sets=("checkpoint_us=2000", "records=800", "audit=1")),
}
