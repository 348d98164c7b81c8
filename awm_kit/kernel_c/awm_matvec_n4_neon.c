/* awm_matvec_n4_neon.c: a block's 16 rows side by side in two vectors of int16, modulo 2^16. */
#include "awm_matvec_n4.h"

#if defined(__aarch64__)
#include <arm_neon.h>

AWM_INLINE uint16x8_t unit(uint16x8_t sum, const uint8_t *words, const int8_t *x) {
    const uint16x8_t low = vdupq_n_u16(15), v = vreinterpretq_u16_u8(vld1q_u8(words));
    sum = vmlaq_n_u16(sum, vandq_u16(v, low), (uint16_t)x[0]);
    sum = vmlaq_n_u16(sum, vandq_u16(vshrq_n_u16(v, 4), low), (uint16_t)x[1]);
    sum = vmlaq_n_u16(sum, vandq_u16(vshrq_n_u16(v, 8), low), (uint16_t)x[2]);
    return vmlaq_n_u16(sum, vshrq_n_u16(v, 12), (uint16_t)x[3]);
}

/* acc of two quads += sum * scales: even lanes are rows 0, 1 of a quad, odd ones rows 2, 3. */
AWM_INLINE void add_scaled(uint32x4_t *acc, uint16x8_t sum, const uint8_t *scales) {
    const uint32x4_t both = vreinterpretq_u32_u16(sum);
    const uint32_t even[4] = {scales[0], scales[0], scales[2], scales[2]};
    const uint32_t odd[4] = {scales[1], scales[1], scales[3], scales[3]};
    acc[0] = vmlaq_u32(acc[0], vandq_u32(both, vdupq_n_u32(0xFFFF)), vld1q_u32(even));
    acc[1] = vmlaq_u32(acc[1], vshrq_n_u32(both, 16), vld1q_u32(odd));
}

AWM_INLINE void store(int32_t *to, const uint32x4_t *acc) {
    const uint64x2_t even = vreinterpretq_u64_u32(acc[0]), odd = vreinterpretq_u64_u32(acc[1]);
    vst1q_s32(to, vreinterpretq_s32_u64(vzip1q_u64(even, odd)));
    vst1q_s32(to + 4, vreinterpretq_s32_u64(vzip2q_u64(even, odd)));
}

static void block(const awm_n4_args *a, const int8_t *x, int32_t *to) {
    const uint8_t *words = a->words, *scales = a->scales;
    const int8_t *end = x + a->cols;
    uint32x4_t acc[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
    for (; x != end; scales += 8) {
        const int8_t *stop = end - x > AWM_N4_CHUNK ? x + AWM_N4_CHUNK : end;
        uint16x8_t first = vdupq_n_u16(0), second = first;
        uint32_t start = 32768;
        for (; x != stop; x += 4, words += 32) {
            start -= 8u * (uint32_t)(x[0] + x[1] + x[2] + x[3]);
            first = unit(first, words, x);
            second = unit(second, words + 16, x);
        }
        add_scaled(acc, vaddq_u16(first, vdupq_n_u16((uint16_t)start)), scales);
        add_scaled(acc + 2, vaddq_u16(second, vdupq_n_u16((uint16_t)start)), scales + 4);
    }
    store(to, acc);
    store(to + 8, acc + 2);
}

void awm_n4_neon(const awm_n4_args *a) {
    awm_n4_args at = *a;
    uint32_t view;
    for (; at.rows >= AWM_N4_BLOCK; at.rows -= AWM_N4_BLOCK, at.acc += AWM_N4_BLOCK) {
        for (view = 0; view < a->views; view++) block(&at, a->x[view], at.acc + view * AWM_CHUNK);
        awm_n4_skip(&at, AWM_N4_BLOCK);
    }
    awm_n4_portable(&at);
}

#else
AWM_STATIC_ASSERT(this_target_has_no_n4_neon, 1);
#endif
