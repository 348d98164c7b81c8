/* awm_ops.h: arithmetic that all operations share, and the contracts of the two that have variants. */
#ifndef AWM_OPS_H
#define AWM_OPS_H

#include "awm.h"
#include "awm_format.h"

/* C leaves >> of negatives to the implementation; every compiler we build with makes it arithmetic (floor). */
AWM_STATIC_ASSERT(shift_is_arithmetic, ((int64_t)-3 >> 1) == -2 && ((int32_t)-3 >> 1) == -2);
/* As is what becomes of values that do not fit; two's complement keeps the lower bits. */
AWM_STATIC_ASSERT(narrowing_wraps, (int8_t)0x180 == -128 && (int32_t)0xFFFFFFFFu == -1);

#if defined(__clang__)
#define AWM_UNROLL(n) _Pragma(AWM_STRING(clang loop unroll_count(n)))
#elif defined(__GNUC__)
#define AWM_UNROLL(n) _Pragma(AWM_STRING(GCC unroll n))
#else
#define AWM_UNROLL(n)
#endif
#define AWM_STRING(x) #x
#define AWM_NOINLINE __attribute__((noinline))
#define AWM_INLINE static inline __attribute__((always_inline, unused))

enum {
    AWM_RESIDUAL_MAX = (1 << 23) - 1,
    AWM_LOGIT_MAX = (1 << 24) - 1,
    AWM_LEAST_BIAS = -(1 << 30) - (1 << 29) - (1 << 28), /* AWM_RAISE above int32's least */
    AWM_RAISE = 1 << 28, /* added to sums of both views, |sum| < 2^28, or 2^30 and positive, so that they are positive */
    AWM_CHUNK = 160 /* rows of a matrix between two requantisations; divisible by 5 and 16 */
};

AWM_INLINE int64_t awm_clamp(int64_t v, int64_t limit) {
    return v > limit ? limit : v < -limit ? -limit : v;
}

/* v / 2^shift, halves up. shift is 1..62; |v| + 2^(shift-1) < 2^63 is shown where it is called. */
AWM_INLINE int64_t awm_rounded_shift(int64_t v, uint32_t shift) {
    return (v + ((int64_t)1 << (shift - 1))) >> shift;
}

AWM_INLINE uint64_t awm_load64(const uint8_t *p) {
#ifdef AWM_PORTABLE_ONLY
    /* SBF and WASM load unaligned words in one instruction; memcpy would become eight. */
    return *(const uint64_t *)(const void *)p;
#else
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return v;
#endif
}

AWM_INLINE uint32_t awm_round8(uint32_t n) {
    return (n + 7u) & ~7u;
}

/* acc[r] = sum_k (w[r * cols + k] - 64) * x[k] for r < rows.
 *
 * cols is a multiple of 8 and at most 4096; AWM_WEIGHT_TAIL readable bytes follow w. For bytes 1..127 the
 * result is exact: |acc| <= 63 * 128 * 4096 < 2^25. For other bytes it is some int32.
 * x and bias64 (64 * sum x) are those given to awm_matvec_begin, lanes is what it filled. The build with the system call
 * leaves w as it is stored, so that acc is larger by bias64. */
typedef struct awm_matvec_args {
    int32_t *acc;
    const uint8_t *w;
    const int8_t *x;
    uint64_t *lanes; /* 4 * cols bytes */
    uint32_t rows, cols;
    int32_t bias64;
    uint32_t backend;
} awm_matvec_args;

void awm_matvec_begin(awm_matvec_args *a);
void awm_matvec(const awm_matvec_args *a);

/* Column counts that the SWAR products have compiled in; 352 is what the fighter schema's features come
 * to, 304 what they came to before version 3. */
#define AWM_FOR_EACH_COLS(f) \
    f(64) f(96) f(128) f(160) f(192) f(224) f(256) f(304) f(320) f(352) f(384) f(448) f(512) f(640) f(768) f(1024)

/* Rows of accumulators to where their op wants them: out[r] = clamp((acc + bias) * mul >> shift), ADD_I32 adds to it
 * first. |acc + bias| <= 2^25 + 2^31 and 0 <= mul < 2^31, so that product and half stay below 2^63. */
enum { AWM_STORE_I8, AWM_STORE_I16, AWM_STORE_I32, AWM_ADD_I32 };
typedef struct awm_store_args {
    const int32_t *acc, *bias, *mul;
    uint32_t shift, rows;
    void *out;
    int64_t limit;
    uint32_t kind;
} awm_store_args;

void awm_store(const awm_store_args *a, uint32_t backend);

/* Both views' products of the same rows, in the halves of words: see awm_matvec_views_swar.c. */
typedef struct awm_views_args {
    uint64_t *sums; /* a word for each row, at most AWM_CHUNK: view 0's sum in its lower half, AWM_RAISE added to both */
    const uint8_t *w;
    const int8_t *x[2];
    uint64_t *lanes; /* 8 * cols bytes */
    uint64_t start, alone; /* made by awm_views_begin_swar, as lanes are: what sums of 16 rows and of one begin with */
    uint32_t rows, cols;
} awm_views_args;

void awm_views_begin_swar(awm_views_args *a);
void awm_views_matvec_swar(const awm_views_args *a);

/* awm_store for both views; a is that of view 0, but its acc is not read. */
void awm_store_views_sbf(const uint64_t *sums, const awm_store_args *a, void *other);

/* The same of sums in two arrays, that of view 1 AWM_CHUNK further on; SBF only. */
void awm_store_arrays_sbf(const int32_t *sums, const awm_store_args *a, void *other);

/* awm_store of sums that are larger than they should be, by as much; SBF only. */
void awm_store_sbf(const int32_t *sums, const awm_store_args *a, int64_t excess);

enum { AWM_BLOCK_ROWS = 64 };

/* Rows of a matrix in a backend's own order against both views, stored as `to` says. */
typedef struct awm_blocks_args {
    const uint8_t *w;
    const int8_t *x[2];
    int32_t bias64[2]; /* made by awm_blocks */
    awm_store_args to[2];
    uint32_t first, end; /* the rows wanted: multiples of AWM_BLOCK_ROWS, but for the matrix's last */
    uint32_t rows, cols, n_views;
    uint32_t narrow; /* how sums may be requantised: see awm_blocks.c */
} awm_blocks_args;

/* Causal convolution: samples move down by one, sum = bias + w . samples, out = lut[clamp8(sum * mul >> shift)].
 * |sum| <= 4 * 2^14 + 2^31; times |mul| <= 2^31, plus half <= 2^61: below 2^63. */
typedef struct awm_conv_args {
    uint32_t *samples;  /* four int8 a channel, oldest in the low byte */
    const int8_t *next; /* newest sample of each channel */
    const uint32_t *w;  /* four int8 a channel */
    const int32_t *bias, *mul;
    const int8_t *lut;
    int8_t *out;
    uint32_t n, shift; /* n is a multiple of 8 */
} awm_conv_args;

void awm_conv(const awm_conv_args *a, uint32_t backend);

/* The same for both views; only samples, next and out of the other one are read. sums: AWM_CHUNK words. Its second half:
 * out and other from both views' sums, each 65,534 too large, in the halves of n words. */
void awm_conv_views_sbf(const awm_conv_args *a, const awm_conv_args *other, uint64_t *sums);
void awm_look_up_views_sbf(const uint64_t *sums, const awm_conv_args *a, int8_t *other);

/* One head of the selective scan of one view: headdim channels, d_state states each.
 *
 * Per channel: X = clamp(rq(x * gain), +-limit); h = (h * decay + B * X + 2^14) >> 15; y = C . h;
 * v = (clamp16(rq(y * y_mul + x * x_mul)) * z_lut[z + 128] + 128) >> 8.
 * 0 <= decay <= 32767 and |B| * limit <= (32768 - decay) * 32767, hence
 * |h * decay + B * X| <= 32768 * decay + (32768 - decay) * 32767 <= 2^30, and the new h fits int16. */
typedef struct awm_scan_args {
    int16_t *h;         /* [headdim][d_state] */
    const uint64_t *bc; /* B and C as awm_scan_begin packed them, d_state + 1 words */
    const int8_t *x;    /* [headdim] */
    const int8_t *z;    /* [headdim] */
    int32_t *v;         /* [headdim], out */
    const int16_t *z_lut;
    int64_t decay, gain, limit, y_mul, x_mul;
    int64_t x_half, y_half; /* 2^(shift - 1) */
    uint32_t headdim, d_state, x_shift, y_shift;
    uint32_t backend;
} awm_scan_args;

void awm_scan_begin(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state, uint32_t backend);
void awm_scan(const awm_scan_args *a);

#ifdef AWM_SYSCALL
/* awm_store_sbf, awm_conv and awm_scan with fewer loads and stores: see programs/world-model. The convolution wants room for
 * AWM_CONV_ROOM numbers. The scan is for 16 states and channels in eights, and costs half as much again as the other: only where
 * one op has no more than AWM_FEW_STATES, so that it still fits a transaction. */
void awm_store_syscall(const awm_store_args *a, int64_t excess);
enum { AWM_CONV_ROOM = 384 };
void awm_conv_syscall(const awm_conv_args *a, int32_t *room);
enum { AWM_FEW_STATES = 1 << 16 };
void awm_scan_begin_syscall(uint64_t *bc, const int8_t *b, const int8_t *c);
void awm_scan_syscall(const awm_scan_args *a);
#endif

enum { AWM_SCAN_AHEAD = 8 }; /* bytes that are prefetched for each state that is computed */

/* What makes one head's awm_scan_args those of the n that follow each other. bmax: the largest |B|, 1 to 128. */
typedef struct awm_heads_args {
    const uint32_t *softplus, *exp2;
    const awm_ssm_head *heads;
    const int16_t *dt;
    uint32_t n, bmax, gain_shift;
    const uint8_t *ahead; /* what to prefetch meanwhile, or NULL */
} awm_heads_args;

AWM_INLINE int64_t awm_scan_input(const awm_scan_args *a, int64_t x) {
    return awm_clamp((x * a->gain + a->x_half) >> a->x_shift, a->limit);
}

/* |y| <= 2^15 * 2^7 * 2^8 = 2^30, so y * y_mul + x * x_mul + half < 2^61 + 2^38 + 2^61. */
AWM_INLINE int32_t awm_scan_output(const awm_scan_args *a, int64_t y, int64_t x, int64_t z) {
    int64_t y16 = awm_clamp((y * a->y_mul + x * a->x_mul + a->y_half) >> a->y_shift, 32767);
    return (int32_t)((y16 * a->z_lut[z + 128] + 128) >> 8);
}

/* u = clamp8(x * (num / root) >> shift), root = floor(sqrt(sum x^2 + eps)); n is a multiple of 8.
 * |x| < 2^23 and n <= 2^12, so the sum is below 2^58 + 2^60; root >= |x_i|, so |x_i * (num / root)| <= num < 2^60. */
typedef struct awm_norm_args {
    uint64_t num, eps;
    uint32_t shift, n;
} awm_norm_args;

void awm_rms_norm(int8_t *u, const int32_t *x, const awm_norm_args *a);

/* floor(sqrt(v)), v < 2^62 */
uint64_t awm_isqrt(uint64_t v);

/* dt (Q10) to what a head's channels need: decay = exp(-softplus(dt) A) in Q15, gain, y_mul and x_mul of a. */
void awm_discretize(const awm_model *model, const awm_layer *l, const awm_ssm_head *head, awm_scan_args *a,
                    int64_t dt);

/* First index of the largest of n logits. */
uint32_t awm_argmax(const int32_t *logits, uint32_t n);

/* encode and decode: awm_codec.c */
void awm_encode(const awm_model *model, const awm_match *match, uint32_t view, int8_t *f);
void awm_decode(const awm_model *model, const awm_match *match);

/* The variants; awm_dispatch.c chooses natively, SBF and WASM have SWAR only. */
int32_t awm_spread_swar(uint64_t *lanes, const int8_t *x, uint32_t cols);
void awm_matvec_swar(const awm_matvec_args *a);
void awm_scan_begin_swar(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state);
void awm_scan_swar(const awm_scan_args *a);
#ifndef AWM_PORTABLE_ONLY
int32_t awm_sum_portable(const int8_t *x, uint32_t cols);
void awm_matvec_portable(const awm_matvec_args *a);
void awm_matvec_avx2(const awm_matvec_args *a);
void awm_matvec_neon(const awm_matvec_args *a);
void awm_matvec_avx512vnni(const awm_matvec_args *a);
void awm_matvec_pair_avx512vnni(const awm_matvec_args *a, const awm_matvec_args *b);
uint64_t awm_blocks_bytes_avx512vnni(uint32_t rows, uint32_t cols);
void awm_blocks_fill_avx512vnni(uint8_t *to, const uint8_t *w, uint32_t rows, uint32_t cols);
void awm_blocks_avx512vnni(awm_blocks_args *a);
void awm_scan_begin_portable(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state);
void awm_scan_portable(const awm_scan_args *a);
void awm_scan_avx2(const awm_scan_args *a);
void awm_scan_avx512(const awm_scan_args *a);
void awm_scan_heads_avx512(const awm_scan_args *first, const awm_heads_args *h);
void awm_store_avx512(const awm_store_args *a);
void awm_norm_avx512(int8_t *u, const int32_t *x, const awm_norm_args *a);
uint32_t awm_conv_avx512(const awm_conv_args *a);
void awm_shift_residual_avx512(int32_t *r, const int8_t *mine, const int8_t *theirs, const awm_op *op);
#endif

/* What only CPUs with wide vectors do differently: 0 (or no channels) means that the caller's own loop must do it. */
#ifdef AWM_PORTABLE_ONLY
#define awm_store_wide(a, backend) 0
#define awm_norm_wide(u, x, a, backend) 0
#define awm_conv_wide(a, backend) 0
#define awm_shift_residual_wide(r, mine, theirs, op, backend) 0
#else
int awm_store_wide(const awm_store_args *a, uint32_t backend);
int awm_norm_wide(int8_t *u, const int32_t *x, const awm_norm_args *a, uint32_t backend);
uint32_t awm_conv_wide(const awm_conv_args *a, uint32_t backend);
int awm_scan_heads_wide(const awm_scan_args *first, const awm_heads_args *h);
int awm_shift_residual_wide(int32_t *r, const int8_t *mine, const int8_t *theirs, const awm_op *op, uint32_t backend);

/* The block copy: see awm_blocks.c. */
const uint8_t *awm_blocks_of(const awm_model *model, uint32_t op, uint32_t *narrow);
const uint8_t *awm_blocks_after(const awm_model *model, const awm_op *op, uint64_t bytes);
uint64_t awm_blocks_bytes_of(uint32_t rows, uint32_t cols);
void awm_blocks_fill(uint8_t *to, const uint8_t *w, uint32_t rows, uint32_t cols);
void awm_blocks(awm_blocks_args *a);

/* Whether two views' products of the same rows are made from one load of the weights, and those products. */
int awm_has_matvec_pair(uint32_t backend);
void awm_matvec_pair(const awm_matvec_args *a, const awm_matvec_args *b);

/* What threads share: see awm_team.c. awm_run_share is one thread's part of an op; no two of n write the same bytes. */
void awm_run_share(const awm_model *model, const awm_match *match, uint32_t op, uint32_t rank, uint32_t n);
int awm_shares_meet(const awm_model *model, uint32_t op, uint32_t n); /* before any goes on to the next op */
#endif

#endif
