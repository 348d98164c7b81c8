#ifndef INPUT_LOG_H
#define INPUT_LOG_H

#include "world_model.h"

/* Whether an entry for this frame might not fit. account_len: the log's, which may not have grown to its size. */
bool wm_log_is_full(const struct wm_log *log, uint64_t account_len, uint32_t frame);

/* Append what changed since each controller's last entry. Only if the log is not full. */
void wm_log_append(struct wm_log *log, const struct wm_controller latched[2], uint32_t frame);

#endif
