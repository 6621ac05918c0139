/* A cut: where an epoch ends in one part of the job (a source's ingest, a stage). Everything before it is in the
 * checkpoint, nothing after it. Barriers carry it through the edges (P. Carbone et al., "Lightweight asynchronous
 * snapshots for distributed dataflows", 2015). */
#ifndef TG_ENGINE_CUT_H
#define TG_ENGINE_CUT_H

enum tg_cut {
    TG_CUT_NONE,
    TG_CUT_WANTED,  /* asked for: an ingest cuts between two raw batches, a stage once it has all barriers */
    TG_CUT_PASSING, /* made; the barrier is not in all rings yet, and nothing else may go there */
    TG_CUT_DONE,
};

#endif
