/*
 * The input log: with frame 0 and the world it is the whole match.
 *
 * An entry is player << 7 | gap, a mask of the physical controller bytes that changed, and those bytes. gap
 * counts frames since that player's last entry, at first since frame 0; a gap of 127 stands alone and advances
 * 127 frames. Frames are numbered as they are computed, from 1.
 */
#include "input_log.h"

#define ADVANCE 127
#define MAX_ENTRY (2 + WM_PHYSICAL_BYTES)

bool wm_log_is_full(const struct wm_log *log, uint64_t account_len, uint32_t frame)
{
    uint64_t room = account_len - sizeof *log;
    uint64_t need = log->used + 2 * MAX_ENTRY;

    if (room > log->capacity)
        room = log->capacity;
    for (int player = 0; player < 2; player++)
        need += (frame - log->frames[player]) / ADVANCE;
    return need > room;
}

static uint8_t *append(uint8_t *at, struct wm_log *log, const uint8_t *physical, int player, uint32_t frame)
{
    uint8_t *last = log->controllers[player];
    uint8_t tag = (uint8_t)(player << 7);
    uint32_t gap = frame - log->frames[player];

    for (; gap >= ADVANCE; gap -= ADVANCE)
        *at++ = tag | ADVANCE;
    *at++ = tag | (uint8_t)gap;
    uint8_t *mask = at++;
    *mask = 0;
    for (int i = 0; i < WM_PHYSICAL_BYTES; i++) {
        if (physical[i] != last[i]) {
            *mask |= (uint8_t)(1u << i);
            *at++ = last[i] = physical[i];
        }
    }
    log->frames[player] = frame;
    return at;
}

void wm_log_append(struct wm_log *log, const struct wm_controller latched[2], uint32_t frame)
{
    uint8_t *start = (uint8_t *)(log + 1), *at = start + log->used;

    for (int player = 0; player < 2; player++) {
        const uint8_t *physical = latched[player].physical;
        if (*(const uint64_t *)physical != *(const uint64_t *)log->controllers[player])
            at = append(at, log, physical, player, frame);
    }
    log->used = (uint32_t)(at - start);
}
