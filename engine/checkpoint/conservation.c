/* Sums of counters that a cut took at one moment: what holds while a job runs holds in every manifest. */
#include "engine/checkpoint/conservation.h"

#include <inttypes.h>

#include "io/registry.h"

static bool offsets_count_records(const struct tg_manifest_source *source)
{
    const struct tg_source_ops *ops = tg_source_find(source->connector);
    return ops != NULL && ops->offsets_count_records;
}

static tg_status check_partition(const struct tg_manifest_source *source, uint32_t index, struct tg_error *err)
{
    const struct tg_manifest_partition *p = &source->partitions[index];
    const uint64_t ends = p->dead + p->late - p->late_in_part + p->duplicates + p->accepted;
    if (p->late_in_part > p->late || p->records != ends) {
        return tg_fail(err, TG1529, 0,
                       "source %s, partition %" PRIu32 ": %" PRIu64 " records, but %" PRIu64 " accepted, %" PRIu64
                       " dead, %" PRIu64 " late (%" PRIu64 " for some steps only), %" PRIu64 " duplicates",
                       source->name, index, p->records, p->accepted, p->dead, p->late, p->late_in_part, p->duplicates);
    }
    const uint64_t below = p->next_offset > 0 ? (uint64_t)p->next_offset : 0;
    if (p->records <= below && (p->records == below || !offsets_count_records(source))) { return TG_OK; }
    return tg_fail(err, TG1529, 0,
                   "source %s, partition %" PRIu32 ": %" PRIu64 " records are counted below offset %" PRIu64,
                   source->name, index, p->records, below);
}

/* Partition `index`, in the job's order, of a step that reads its source. */
static tg_status check_tally(const struct tg_manifest_step *step, uint32_t index, const struct tg_manifest_partition *p,
                             struct tg_error *err)
{
    const struct tg_tally *tally = &step->tallies[index - step->tally_first];
    const uint64_t got = tally->applied + tally->ignored + tally->refused;
    if (got <= p->accepted && got + p->late_in_part >= p->accepted) { return TG_OK; }
    return tg_fail(err, TG1529, 0,
                   "step %s, partition %" PRIu32 " of the job: %" PRIu64 " rows applied, %" PRIu64 " ignored, %" PRIu64
                   " refused, but its source accepted %" PRIu64,
                   step->name, index, tally->applied, tally->ignored, tally->refused, p->accepted);
}

tg_status tg_conservation_check(const struct tg_manifest *manifest, struct tg_error *err)
{
    uint32_t index = 0; /* in the job's order */
    for (uint32_t s = 0; s < manifest->source_count; s++) {
        const struct tg_manifest_source *source = &manifest->sources[s];
        for (uint32_t p = 0; p < source->partition_count; p++, index++) {
            tg_status status = check_partition(source, p, err);
            for (uint32_t i = 0; status == TG_OK && i < manifest->step_count; i++) {
                const struct tg_manifest_step *step = &manifest->steps[i];
                if (!step->from_source || index - step->tally_first >= step->tally_count) { continue; }
                status = check_tally(step, index, &source->partitions[p], err);
            }
            if (status != TG_OK) { return status; }
        }
    }
    return TG_OK;
}

void tg_conservation_sum(const struct tg_manifest *manifest, struct tg_conservation_totals *out)
{
    *out = (struct tg_conservation_totals){0};
    for (uint32_t s = 0; s < manifest->source_count; s++) {
        for (uint32_t i = 0; i < manifest->sources[s].partition_count; i++) {
            const struct tg_manifest_partition *p = &manifest->sources[s].partitions[i];
            out->records += p->records;
            out->dead += p->dead;
            out->late += p->late;
            out->late_in_part += p->late_in_part;
            out->duplicates += p->duplicates;
            out->accepted += p->accepted;
        }
    }
}
