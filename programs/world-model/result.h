#ifndef RESULT_H
#define RESULT_H

#include "world_model.h"

/* Who leads: more stocks, then less damage; WM_DRAW if neither. */
uint8_t wm_leader(const struct wm_frame *frame);

#endif
