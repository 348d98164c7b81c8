#ifndef RESULT_H
#define RESULT_H

#include "world_model.h"

/* Who leads: more stocks, then less damage; WM_DRAW if neither. */
uint8_t wm_leader(const struct wm_frame *frame);

/* Close the books of a match whose winner and reason are settled: hashes for its result, of what is there. */
void wm_finish(struct wm_session *session, struct wm_hidden *hidden, const struct sol_account *log);

#endif
