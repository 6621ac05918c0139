/* The operator of the simulator's second step: how many rows of its key fell into each window of a second. It reads a
 * step, so it follows the job's clock, and its rows come from every shard. */
#ifndef TG_ENGINE_SIM_WINDOW_ROWS_H
#define TG_ENGINE_SIM_WINDOW_ROWS_H

struct tg_operator;

extern const struct tg_operator tg_operator_sim_window_rows;

#endif
