"""Engines that are broken in one place each, for tests/sim/mutate.py. Every text to be replaced is in its file exactly once."""

import dataclasses


@dataclasses.dataclass
class Mutant:
    """One broken engine. `edits` are (file, text, what stands there instead). `users` are sources that include an edited header. `crashes` and
    `sets` go to tests/sim/run: runs in which what is broken is needed; everything else is left to the seed."""

    does: str
    edits: list
    users: tuple = ()
    crashes: int = 0
    sets: tuple = ()


def engine(does, *edit, users=(), sets=()):
    return Mutant(does, [edit], users, sets=("records=800", *sets))


def recovery(does, *edits, users=(), sets=("checkpoint_us=2000", "records=800")):
    return Mutant(does, list(edits), users, 12, sets)


FILES = ("checkpoint_us=2000", "records=800", "cassandra=0")  # the sink commits with checkpoints
POWER = ("checkpoint_us=2000", "records=800", "power_only=1", "crash_calls=100")
# Few keys change from one checkpoint to the next.
DELTAS = ("checkpoint_us=1000", "keys=200", "records=800", "poll=1", "budget=1", "tick_ns=20000", "grow_ns=0", "bias=0", "shards=1", "reshard=0",
          "cassandra=0", "sink_rows=0", "crash_steps=5000")
SHORT = (*DELTAS, "window_us=1000000", "idle_us=1000000", "rate=5")  # users come and go
QUICK = ("checkpoint_us=1000", "tick_ns=20000", "grow_ns=0", "bias=0", "sink_rows=0", "crash_steps=5000", "records=800")
# Partitions fall silent in the middle of their log, and most ticks are behind the last checkpoint.
SILENT = ("log=1", "chain=0", "checkpoint_us=1000000", "idle_after_us=5000", "grow_ns=10000000000", "partitions=3", "records=800", "delay_us=0",
          "bias=0", "no_drain=1", "rate=100")
MOVED = (*SILENT, "moves_max=20", "crash_steps=5000", "shards=1", "reshard=0")
IDS = (*QUICK, "cassandra=0", "ids=1", "duplicate_ppm=50000", "id_chars=2", "window_us=300000000", "rate=5")

# Runs without crashes.
ENGINE = {
    "row_before_timers": engine("applies a row without firing its key's timers first", "engine/operator.c",
        "if (!tg_stage_fire(ctx, key, clock) || !tg_stage_has_room(ctx)) { return false; }",
        "if (!tg_stage_has_room(ctx)) { return false; }"),
    "clock_of_the_batch": engine("gives every row the watermark its fetch began with", "engine/ingest.c",
        "    row->wm = partition->wm;\n",
        "    static int64_t batch_wm;\n    if (index == 0) { batch_wm = partition->wm; }\n    row->wm = batch_wm;\n"),
    "fires_at_the_clock": engine("fires when T <= clock", "engine/stage.h",
        "    return tg_stage_earliest_timer(stage, key, &timer) >= clock || tg_stage_fire_due(stage, key, clock);\n",
        "    const int64_t beyond = clock == TG_TS_MAX ? clock : clock + 1;\n"
        "    return tg_stage_earliest_timer(stage, key, &timer) >= beyond || tg_stage_fire_due(stage, key, beyond);\n",
        users=("engine/operator.c", "engine/stage.c"), sets=("rate=1", "idle_us=1000000", "delay_us=5000000", "disorder_us=0")),
    "blocked_row_is_lost": engine("goes on behind a row that found no room", "engine/ingest.c",
        "        if (!route(ingest, ingest->next_row)) { return false; }\n",
        "        if (!route(ingest, ingest->next_row)) {\n            ingest->next_row++;\n"
        "            ingest->next_edge = 0;\n            ingest->phase = TG_INGEST_JUDGE;\n            return false;\n        }\n"),
    "ids_never_forgotten": engine("does not look at the clock when it judges an identity", "engine/dedupe.c",
        "if (wm <= until && row->ts <= until) { return TG_DEDUPE_DUPLICATE; }",
        "(void)wm;\n        (void)until;\n        return TG_DEDUPE_DUPLICATE;"),
    "watermark_overtakes": engine("lets a watermark leave before the rows it covers", "engine/ingest.c",
        "    tg_partition_accept(partition, row->ts, ingest->source->watermark_delay);\n",
        "    tg_partition_accept(partition, row->ts, ingest->source->watermark_delay);\n"
        "    for (uint32_t e = 0; e < ingest->readers->edge_count; e++) {\n"
        "        tg_edge_out_wm(&ingest->edges[ingest->readers->edges[e]], row->partition, partition->wm);\n"
        "        (void)tg_edge_out_flush(&ingest->edges[ingest->readers->edges[e]], 0);\n    }\n"),
    "rows_taken_twice": engine("offers rows to a sink again that it has taken", "engine/outlet.c",
        "        taken += got;\n", "        taken += got > 1 ? got - 1 : got;\n"),
    "block_goes_on_after_error": engine("keeps the half of a block that was written before an error, and writes all of it again", "io/file/sink.c",
        "    const int failed = tg_file_write_all(target->fd, data, bytes, target->length);\n"
        "    if (failed != 0) { return -failed; }\n",
        "    for (uint32_t moved = 0; moved < bytes;) {\n"
        "        const int64_t result = tg_file_ops()->pwrite(tg_file_ops()->self, target->fd, data + moved, bytes - moved,\n"
        "                                                   target->length + moved);\n"
        "        if (result == -EINTR) { continue; }\n"
        "        if (result <= 0) {\n            target->length += moved;\n            return result < 0 ? (int)-result : ENOSPC;\n        }\n"
        "        moved += (uint32_t)result;\n    }\n",
        sets=("cassandra=0", "disk_faults=2", "sink_rows=0")),
    "timeout_is_success": engine("takes WRITE_TIMEOUT for an acknowledgement", "io/cassandra/sink.c",
        "    case TG_CQL_CODE_WRITE_TIMEOUT: /* perhaps applied */\n        tg_cql_connection_slow",
        "        tg_cql_connection_slow(&s->cluster.connections[connection], answer->sent_ns, now_ns);\n"
        "        retry(s, answer->tag, connection, false, now_ns);\n        return;\n"
        "    case TG_CQL_CODE_WRITE_TIMEOUT: acknowledge(s, connection, answer, now_ns); return;\n"
        "        tg_cql_connection_slow"),
    "stream_used_again": engine("gives a stream id away before its late answer has come", "io/cassandra/connection.c",
        "    if (outcome == TG_CQL_EXPIRED) {\n", "    if (outcome == TG_CQL_LOST && flight->orphan) {\n"),
    "lost_is_written": engine("takes a connection that went down for an acknowledgement", "io/cassandra/sink.c",
        "    case TG_CQL_LOST: retry(s, answer->tag, connection, true, now_ns); return;\n",
        "    case TG_CQL_LOST: acknowledge(s, connection, answer, now_ns); return;\n"),
    "full_table_refuses_all": engine("refuses every row behind the first key without room", "engine/stage.c",
        "        if (stage->row >= stage->placed) { place(stage, stage->row, true); }\n",
        "        if (stage->row >= stage->placed) { stage->placed = stage->row; }\n",
        sets=("max_keys=12", "cassandra=0", "ids=0", "keys=20", "shards=2", "poll=64")),
    "clock_overtakes_between_steps": engine("hands a step's clock on before the rows it caused", "engine/stage.c",
        "    if (!deliver_all(stage)) { return false; }\n    forward_clocks(stage);\n",
        "    forward_clocks(stage);\n    (void)flush_edges(stage, false);\n    if (!deliver_all(stage)) { return false; }\n",
        sets=("chain=1", "keys=200", "sink_rows=1", "cassandra=0")),
    "one_channel_is_all": engine("takes one shard's clock for that of all shards", "engine/stage.c",
        "        minimum = other < minimum ? other : minimum;\n", "        (void)other;\n", sets=("chain=1", "keys=200", "shards=4", "bias=50")),
}

# Runs that die and start again.
RECOVERY = {
    # ---- the cut ----
    "position_ahead": recovery("saves a position one record ahead: loses it", (
        "engine/ingest.c",
        "ingest->cut_state[i].next_offset = tg_ingest_position(ingest, i);",
        "ingest->cut_state[i].next_offset = tg_ingest_position(ingest, i) + (ingest->partitions[i].next_offset >= 0);")),
    "position_behind": recovery("saves a position one record behind: doubles it", (
        "engine/ingest.c",
        "ingest->cut_state[i].next_offset = tg_ingest_position(ingest, i);",
        "ingest->cut_state[i].next_offset = tg_ingest_position(ingest, i) - (ingest->partitions[i].next_offset > 0);")),
    "positions_of_the_decision": recovery("takes positions and clocks when the manifest is made, not at the cut", (
        "engine/checkpoint/manifest_of_cuts.c",
        "partitions[p] = ingest->cut_state[ingest->owned_index[p]];",
        "tg_partition_save(&ingest->partitions[ingest->owned_index[p]], &partitions[p]);")),
    "cut_within_a_batch": recovery("cuts in the middle of a raw batch", (
        "engine/ingest.c", "if (ingest->cut == TG_CUT_WANTED && !ingest->in_work &&", "if (ingest->cut == TG_CUT_WANTED &&")),
    "batch_dropped_at_the_barrier": recovery("drops the rows that are staged when a barrier is due", (
        "engine/edge.c",
        "    const uint32_t partition_count = out->edge->plan->partition_count;\n    for (uint32_t i = 0; out->wm_dirty",
        "    const uint32_t partition_count = out->edge->plan->partition_count;\n    if (lane->barrier_due) { tg_batch_reset(batch); }\n"
        "    for (uint32_t i = 0; out->wm_dirty")),
    "barrier_overtakes": recovery("sends the barrier ahead of the rows that are staged", (
        "engine/edge.c",
        "    for (uint32_t to = 0; to < out->shard_count; to++) { out->lanes[to].barrier_due = true; }\n",
        "    const bool dirty = out->wm_dirty;\n    for (uint32_t to = 0; to < out->shard_count; to++) {\n"
        "        struct tg_lane *lane = &out->lanes[to];\n        struct tg_batch *rows = lane->staging;\n        lane->barrier_due = true;\n"
        "        lane->staging = rows != NULL ? lane_acquire(out, to) : NULL;\n        out->wm_dirty = false;\n"
        "        if (lane->staging != NULL) { lane_send(out, to); }\n        lane->staging = rows;\n    }\n    out->wm_dirty = dirty;\n")),
    "cut_at_the_first_barrier": recovery("cuts a step at its first channel's barrier", (
        "engine/stage_cut.c",
        "(stage->aligned | stage->ended) == tg_stage_all_channels(stage);",
        "((stage->aligned | stage->ended) & tg_stage_all_channels(stage)) != 0;")),
    "aligned_channel_goes_on": recovery("takes rows from behind a barrier while others are awaited", (
        "engine/stage.c", "i < budget && (stage->aligned >> from & 1) == 0 &&", "i < budget &&")),
    "sinks_take_early": recovery("lets rows from behind the cut into sinks that have not cut", (
        "engine/outlet.h", "{ return outlet->epochs >= epochs; }", "{ return outlet->epochs >= epochs || true; }"),
        users=("engine/ingest.c", "engine/port.c", "engine/stage.c"), sets=FILES),
    "sinks_not_awaited": recovery("decides before the sinks have acknowledged", (
        "engine/checkpoint/shard.c",
        "{ done = tg_outlet_cut_done(&part->outlets[i]) && done; }",
        "{ (void)tg_outlet_cut_done(&part->outlets[i]); }")),
    # ---- the tables ----
    "changed_after_the_cut": recovery("does not write an entry before it changes", (
        "state/snapshot.c",
        "    if (is_due(snapshot, mark, value)) { ",
        "    if (snapshot->unwanted && is_due(snapshot, mark, value)) { ")),
    "removed_after_the_cut": recovery("does not write an identity before it is forgotten", (
        "state/snapshot.c",
        "    if ((mark->bits & snapshot->changed) == 0 && is_due(snapshot, mark, value)) { ",
        "    if (snapshot->unwanted && is_due(snapshot, mark, value)) { "),
        sets=(*IDS, "rate=1", "window_us=60000000", "delay_us=0", "keys=5", "id_chars=1")),
    "no_deletes": recovery("writes no removals into deltas", (
        "state/snapshot.c", "    if ((mark->bits & TG_MARK_SAVED) != 0 && snapshot->complete", "    if ((mark->bits & 64) != 0 && snapshot->complete"), sets=SHORT),
    "born_is_unmarked": recovery("does not list new entries as changed", (
        "state/snapshot.c", "bits = snapshot->changed;\n    list_append(snapshot, value);\n", "bits = snapshot->changed;\n"), sets=DELTAS),
    "timers_change_unmarked": recovery("does not list entries as changed that only a timer changes", (
        "engine/stage.c",
        "    if (stage->snapshot != NULL) { tg_snapshot_touch(stage->snapshot, key); }\n    while (at < clock) {\n",
        "    while (at < clock) {\n"), sets=SHORT),
    "deque_turned_round": recovery("saves the second stretch of a ring from the wrong place", (
        "state/entry.c", "memcpy(out + first_bytes, elements, rest_bytes);", "memcpy(out + first_bytes, elements + 1, rest_bytes);"), sets=(*QUICK, "keys=5", "rate=5", "window_us=60000000", "disorder_us=0", "cassandra=0")),
    "deque_without_its_last": recovery("loads containers without their last element", (
        "state/entry.c", "        *c->full = !tg_deque_i64_insert(", "        *c->full = i + 1 < count && !tg_deque_i64_insert(")),
    "ids_not_saved": recovery("does not save the identities of the deduplication", (
        "engine/checkpoint/shard.c", "        part->ingests[i].dedupe.snapshot = part->snapshots[tables->of_source[i]];\n", ""), sets=IDS),
    # ---- the chain ----
    "given_up_and_forgotten": recovery("goes on with a delta behind an epoch that was given up",
                                       ("engine/checkpoint/shard.c", "        part->last_epoch = 0; /* the next one is a base */\n", ""),
                                       ("engine/checkpoint/checkpoint.c", "{ checkpoint->parts[i].last_epoch = 0; }", "{}"),
        sets=(*DELTAS, "fatal=1", "disk_faults=2")),
    "chain_without_a_delta": recovery("names only the newest delta of a chain", (
        "engine/checkpoint/checkpoint.c", "if (file->kind == TG_STATE_BASE) { *count = 0; }", "*count = file->kind == TG_STATE_BASE ? 0 : 1;"), sets=DELTAS),
    "deltas_not_loaded": recovery("loads bases only", (
        "engine/checkpoint/load.c",
        "        if (same_shards && manifest->files[f].shard != shard) { continue; }\n",
        "        if (same_shards && manifest->files[f].shard != shard) { continue; }\n"
        "        if (manifest->files[f].kind != TG_STATE_BASE) { continue; }\n"), sets=DELTAS),
    "collected_too_early": recovery("removes the files that a kept checkpoint builds on", (
        "engine/checkpoint/recovery_upkeep.c", "{ keep_epoch(keeping, manifest.files[i].epoch); }", "{ keep_epoch(keeping, epoch); }"), sets=DELTAS),
    "loaded_is_unsaved": recovery("does not know that an entry it has loaded is in a file: its removal is not written", (
        "state/snapshot.h", "{ mark->bits = TG_MARK_SAVED; }", "{ mark->bits = 0; }"), users=("state/restore.c",), sets=(*SHORT, "crash_steps=1000")),
    # ---- the disk ----
    "manifest_not_synced": recovery("gives a manifest its name before its bytes are durable", (
        "io/checkpoint/store.c", "    failed = sync_and_close(fd, failed);\n", "    failed = failed != 0 ? failed : ops->close(ops->self, fd);\n"), sets=POWER),
    "state_not_synced": recovery("does not sync state files", (
        "io/checkpoint/store.c",
        "    failed = sync_and_close(file->fd, failed);\n    file->fd = -1;\n",
        "    if (failed == 0) { failed = tg_file_ops()->close(tg_file_ops()->self, file->fd); }\n    file->fd = -1;\n"), sets=POWER),
    "state_padded": recovery("leaves a state file as long as its blocks", (
        "io/checkpoint/store.c",
        "failed == 0 && at + bytes > file->bytes ?",
        "failed == 0 && at + bytes > file->bytes && false ?"), sets=(*QUICK, "direct=0")),
    "folder_not_synced": recovery("does not sync the folder of the state files", (
        "io/checkpoint/store.c",
        "    if (failed == 0) { failed = sync_folder(tg_place_of(store->path, name, path)); }\n",
        ""), sets=POWER),
    "decision_not_synced": recovery("commits before the manifest's name is durable", (
        "io/checkpoint/store.c",
        "    int failed = -TG_FAILPOINT(\"manifest.folder_sync\");\n    if (failed == 0) { failed = sync_folder(store->path); }\n",
        "    int failed = -TG_FAILPOINT(\"manifest.folder_sync\");\n"), sets=(*QUICK, "power_only=1", "crash_calls=40")),
    "rows_not_synced": recovery("commits rows that are not durable", (
        "io/file/commit.c", "    if (failed == 0) { failed = tg_file_sync(staging->final_fd); }\n", ""), sets=(*POWER, "cassandra=0")),
    "parts_not_synced": recovery("decides before rows that wait for their commit are durable", (
        "io/file/sink.c", "block->sync ? tg_staging_sync(&target->staging, shard) : 0;", "0;"), sets=(*POWER, "cassandra=0")),
    "parts_folder_not_synced": recovery("decides before the names of the files of such rows are durable", (
        "io/file/staging.c", "    if (failed == 0) { failed = tg_staging_sync_folder(staging); }\n    shard->dirty", "    shard->dirty"),
        sets=(*POWER, "cassandra=0", *QUICK)),
    "failed_sync_repeated": recovery("syncs a file of such rows again when that failed, instead of writing a new one", (
        "io/file/staging.c", "        failed = write_anew(staging, index);\n", "        failed = tg_file_sync(shard->fd);\n"),
        sets=(*QUICK, "cassandra=0", "fatal=1", "disk_faults=2")),
    # ---- commits ----
    "commit_before_decision": recovery("commits before the manifest is there", (
        "engine/checkpoint/checkpoint.c",
        "static void run_publish(struct tg_task *task)\n{\n",
        "static tg_status commit_all(struct tg_checkpoint *, const struct tg_manifest *, uint32_t *, struct tg_error *);\n"
        "static void run_publish(struct tg_task *task)\n{\n    uint32_t n;\n    struct tg_error e = {0};\n"
        "    (void)commit_all(task->owner, &((struct tg_checkpoint *)task->owner)->manifest, &n, &e);\n"), sets=(*FILES, "crash_calls=100")),
    "dropped_epoch_committed": recovery("commits the rows of an epoch that was given up", (
        "engine/checkpoint/checkpoint.c",
        "    tg_store_epoch_abort(&checkpoint->store, checkpoint->next_epoch);\n",
        "    tg_store_epoch_abort(&checkpoint->store, checkpoint->next_epoch);\n    uint32_t n;\n    struct tg_error e = {0};\n"
        "    if (checkpoint->manifest.epoch == checkpoint->next_epoch) { (void)commit_all(checkpoint, &checkpoint->manifest, &n, &e); }\n"),
        sets=(*QUICK, "cassandra=0", "fatal=1", "disk_faults=2")),
    "recommit_skipped": recovery("does not commit again what a dead run had decided", (
        "engine/checkpoint/checkpoint.c",
        "    return commit_all(checkpoint, &checkpoint->choice.manifest, &count, err);",
        "    (void)err;\n    return (tg_status)(count = TG_OK);"), sets=(*FILES, "crash_calls=100")),
    "committed_twice": recovery("appends rows again that were committed", (
        "io/file/commit.c",
        "    int failed = ops->ftruncate(ops->self, staging->final_fd, base + there);\n    int64_t length = base;\n",
        "    int failed = 0;\n    int64_t length = ops->size(ops->self, staging->final_fd);\n"), sets=(*FILES, "crash_calls=100")),
    "part_goes_on_early": recovery("goes on in a part that a checkpoint under way is about to commit", (
        "io/file/staging.c", "tg_staging_part_at(shard, end - 1)->number == segment || settled + 1 >= segment;", "settled + 2 >= segment;"), sets=(*FILES, "records=200")),
    "waits_for_good": recovery("does not tell sinks of a checkpoint that was given up", (
        "engine/checkpoint/shard.c", "{ tg_outlet_settle(&part->outlets[i]); }", "{ }"),
        sets=(*QUICK, "cassandra=0", "crowded=1", "disk_faults=2", "records=100")),
    "commits_the_next_epoch": recovery("commits rows from behind the cut along", (
        "io/file/sink.c", "sink->outbox.tag - 1, out);", "sink->outbox.tag, out);"), sets=FILES),
    "acknowledged_before_commit": recovery("acknowledges before it commits, and trusts that at the start",
                                           ("engine/checkpoint/checkpoint.c", "    const int failed = TG_FAILPOINT(\"checkpoint.commit\");\n",
                                            "    (void)tg_store_acknowledge(&checkpoint->store, epoch, 1, &error);\n"
                                            "    const int failed = TG_FAILPOINT(\"checkpoint.commit\");\n"),
                                           ("engine/checkpoint/checkpoint.c", "    const int failed = TG_FAILPOINT(\"recovery.recommit\");\n",
                                            "    if (tg_recovery_is_settled(&checkpoint->store, &checkpoint->choice.manifest)) { return TG_OK; }\n"
                                            "    const int failed = TG_FAILPOINT(\"recovery.recommit\");\n"),
                                           sets=(*FILES, "crash_calls=100")),
    "last_one_not_awaited": recovery("ends before the last checkpoint is complete", (
        "engine/worker.c",
        "    return atomic_load_explicit(&cluster->checkpoint->final_over, memory_order_acquire);",
        "    return true;"), sets=FILES),
    # ---- the start ----
    "known_records_again": recovery("does not drop records from before the position", (
        "engine/ingest.c", "    if (raw->count != 0) { fence(raw, partition->next_offset); }\n", "")),
    "timers_forgotten": recovery("does not arm the timers again", (
        "engine/stage_cut.c", "        tg_stage_settle(stage, key);\n", ""), sets=(*QUICK, "cassandra=0", "keys=200")),
    "timers_late": recovery("arms the timers again a second late", (
        "engine/stage_cut.c",
        "        tg_stage_settle(stage, key);\n",
        "        for (uint32_t t = 0; t < stage->plan->step->op->timer_count; t++) {\n"
        "            if (key->timers[t] != TG_TS_MAX) { key->timers[t] += 1000000; }\n        }\n        tg_stage_settle(stage, key);\n"), sets=(*QUICK, "cassandra=0", "keys=200")),
    "watermark_forgotten": recovery("begins with no watermark", (
        "engine/partition.c", "    partition->wm = saved->wm;\n", "    partition->wm = TG_TS_MIN;\n"), sets=("checkpoint_us=2000", "late_ppm=50000")),
    "watermark_stale": recovery("begins with the watermark a partition had when it was last at its end", (
        "engine/partition.c", "    partition->wm = saved->wm;\n", "    partition->wm = saved->idle_base_wm;\n"),
        sets=("checkpoint_us=2000", "late_ppm=50000")),
    "clocks_forgotten": recovery("begins with no clocks in the steps", (
        "engine/checkpoint/load.c", "        load_clocks(&load, i);\n", "")),
    "revision_forgotten": recovery("begins with no revisions", (
        "engine/stage_cut.c", "        tg_stage_settle(stage, key);\n", "        key->revision = TG_TS_MIN;\n        tg_stage_settle(stage, key);\n"), sets=(*QUICK, "cassandra=0", "disorder_us=20000000", "delay_us=30000000", "window_us=300000000")),
    "step_clock_ahead": recovery("begins in a second step with a clock a second ahead", (
        "engine/checkpoint/load.c",
        "            wm = manifest->steps[spec->from.index].clocks[job_wide];\n        }\n",
        "            wm = manifest->steps[spec->from.index].clocks[job_wide];\n        }\n"
        "        if (!edge->from_source && clocks[job_wide] != TG_TS_MIN && clocks[job_wide] != TG_TS_MAX) {\n"
        "            ((int64_t *)(uintptr_t)clocks)[load->plan->partition_count] += 1000000;\n        }\n"),
        sets=(*QUICK, "chain=1", "cassandra=0", "partitions=1")),
    "others_keys_too": recovery("loads every key on every shard", (
        "engine/checkpoint/load.c", "    return tg_key_shard(hash, chooser->shard_count) == chooser->shard;", "    return true;"),
        sets=("checkpoint_us=2000", "reshard=1")),
    "own_files_only": recovery("loads only its own files when there is another number of shards", (
        "engine/checkpoint/load.c",
        "        if (same_shards && manifest->files[f].shard != shard) { continue; }\n",
        "        if (manifest->files[f].shard != shard) { continue; }\n"), sets=("checkpoint_us=2000", "reshard=1")),
    "loads_on_top": recovery("loads a later value of a key on top of the earlier one", ("state/restore.c", "    if (!fresh) {\n", "    if (false) {\n"),
                             ("state/restore.c", "    if (restore->make_fresh != NULL) {", "    if (restore->make_fresh != NULL && fresh) {"),
                             sets=DELTAS),
    "ticks_at_once": recovery("raises an idle partition's clock before its tick is durable",
        ("engine/ingest_ticks.c",
         "    } else if (tg_tick_lane_order(ingest->ticks, &tick, &ingest->partitions[owned])) {\n        ingest->ordered++;\n    }\n",
         "    } else if (tg_tick_lane_order(ingest->ticks, &tick, &ingest->partitions[owned])) {\n        tg_ingest_act(ingest, owned);\n    }\n"),
        sets=SILENT),
    "unread_is_silence": recovery("does not ask the source before silence counts", ("engine/ingest_ticks.c",
        "    return ops->unread != NULL && ops->unread(ingest->state, ingest->owned[owned]);\n",
        "    (void)ops;\n    (void)owned;\n    return false;\n"), sets=(*SILENT, "stop_ns=2000000000")),
    "ticks_forgotten": recovery("lets no tick act again after a crash", ("engine/partition.c",
        "    partition->replay_offset = count != 0 ? replay[0].offset : INT64_MAX;\n",
        "    partition->replay_offset = INT64_MAX;\n"), sets=SILENT),
    "ticks_too_early": recovery("lets all ticks act again at the start, not where they acted", ("engine/ingest_ticks.c",
        "    const int64_t position = tg_ingest_position(ingest, owned);\n", "    const int64_t position = INT64_MAX - 1;\n"), sets=SILENT),
    "ticks_not_synced": recovery("takes a tick that is written for one that is durable", ("io/checkpoint/tick_file.c",
        "    return failed != 0 ? -failed : tg_file_sync(fd);\n", "    return -failed;\n"), sets=(*SILENT, "power_only=1")),
    "ticks_trimmed": recovery("drops the ticks that a checkpoint does not hold, too", ("engine/checkpoint/tick_log.c",
        "            held_by_all = is_held(&manifests[m], &log->header, &list[i]);\n", "            held_by_all = true;\n"),
        ("engine/checkpoint/tick_log.h", "#define TG_TICK_LOG_TRIM_BYTES (64u << 10)", "#define TG_TICK_LOG_TRIM_BYTES (256u)"),
        users=("engine/checkpoint/tick_log.c",), sets=SILENT),
    "moved_before_its_ticks": recovery("makes a restored checkpoint visible before the ticks of its run are there", ("engine/checkpoint/recovery_copy.c",
        "    if (status == TG_OK) { status = tg_tick_log_restore(copy->from, copy->to, copy->manifest, err); }\n", ""), ("engine/checkpoint/recovery_copy.c",
        "out.data, out.used, decided, err); }\n", "out.data, out.used, decided, err); }\n"
        "    if (status == TG_OK) { status = tg_tick_log_restore(copy->from, copy->to, copy->manifest, err); }\n"), sets=MOVED),
    "half_moved_is_fresh": recovery("begins with nothing where a restore has not ended", ("engine/checkpoint/recovery.c",
        "    if (!listing.restoring) { return TG_OK; }\n", "    if (true) { return TG_OK; }\n"), sets=(*MOVED, "cassandra=0")),
    "restore_unmarked": recovery("does not say that a restore has begun", ("engine/checkpoint/recovery_copy.c",
        "    status = tg_store_restore_begin(to, err);\n", ""), sets=(*MOVED, "cassandra=0")),
    "ticks_of_a_moved_run_swept": recovery("removes the log of ticks of a run that checkpoints are of", ("engine/checkpoint/recovery_upkeep.c",
        "tg_tick_file_sweep(store, keeping->tick_log_count,", "tg_tick_file_sweep(store, 0,"), sets=MOVED),
    "record_overtakes_its_tick": recovery("judges a record while its partition's tick is on its way", ("engine/ingest.c",
        "    const bool must_wait = !ingest->begun && partition->tick == TG_TICK_ORDERED;\n", "    const bool must_wait = false;\n"),
        sets=SILENT),
}

# Engines that lose count.
COUNTS = {
    # Two rows of one instant look alike in every output and every state: that one was lost and the other applied twice is in the sums alone.
    "equal_row_twice": engine("applies an earlier row of the same key, instant and watermark again instead of the row itself", "engine/operator.c",
        "    const struct tg_row *row = tg_batch_row(ctx->batch, ctx->row);\n    const int64_t clock",
        "    const struct tg_row *row = tg_batch_row(ctx->batch, ctx->row);\n    for (uint32_t i = 0; i < ctx->row; i++) {\n"
        "        const struct tg_row *other = tg_batch_row(ctx->batch, i);\n"
        "        if (ctx->values[i] == key && other->ts == row->ts && other->wm == row->wm) { row = other; }\n    }\n    const int64_t clock",
        sets=("audit=1", "ids=0", "keys=5", "poll=1024", "max_keys=0")),
    "dead_counted_late": engine("counts dead letters as late rows, so that the sum is right", "engine/ingest.c",
        "    partition->dead++;\n", "    partition->late++;\n"),
    "duplicate_not_counted": engine("does not count duplicates", "engine/ingest.c", "        partition->duplicates++;\n", "",
        sets=("ids=1", "duplicate_ppm=50000", "max_keys=0")),
    "forgotten_key_keeps_sums": recovery("goes on with a key's sums when its state was forgotten", (
        "engine/stage.c", "    if (plan->audit_offset != 0) { *tg_stage_audit",
        "    if (plan->audit_offset != 0 && (key->flags & TG_KEY_FORGET) == 0) { *tg_stage_audit"), sets=(*SHORT, "audit=1")),
    "tallies_not_restored": recovery("begins with no counts in the steps", (
        "engine/checkpoint/load.c", "        load_tallies(&load, i);\n", "        if (i > load.part->stage_count) { load_tallies(&load, i); }\n")),
}
