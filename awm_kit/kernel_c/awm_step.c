/* awm_step.c: the tape interpreter, and a layer's operations in the order of the Mamba2 paper. */
#include "awm_matvec_n4.h"
#include "awm_ops.h"

static int8_t *view_i8(const awm_model *model, const awm_match *match, uint32_t view, uint32_t at) {
    return (int8_t *)(match->scratch + model->at_views + view * model->view_bytes + at);
}

static int32_t *view_i32(const awm_model *model, const awm_match *match, uint32_t view, uint32_t at) {
    return (int32_t *)(void *)view_i8(model, match, view, at);
}

/* ---------------------------------------------------------------- RMSNorm */

/* Binary digits from the top. */
AWM_NOINLINE uint64_t awm_isqrt(uint64_t v) {
    uint64_t root = 0, bit = (uint64_t)1 << 60;
    while (bit > v) bit >>= 2;
    for (; bit; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

#ifdef __bpf__
/* The two loops of the norm in 4 and in 9 instructions an element, two of which are loaded at once. SBPF v0 defines 32-bit
 * additions to extend the sign of their sum: `w += 0` makes an int32 of what was loaded, where LLVM knows only two shifts. */
#define EIGHT(f) f(0, 1) f(2, 3) f(4, 5) f(6, 7)
#define PAIR(n, other, base, k) \
    "r" #n " = *(u64 *)(" base " + 4 * " #k ")\n" #other " = r" #n "\n" #other " s>>= 32\nw" #n " += 0\n"
#define SQUARE(k, next) PAIR(3, r4, "r1", k) "r3 *= r3\nr0 += r3\nr4 *= r4\nr0 += r4\n"
#define NORMALIZED(r, k) \
    #r " *= r5\n" #r " += r6\n" #r " s>>= r7\n" \
    "if " #r " s< 128 goto 2f\n" #r " = 127\n2:\nif " #r " s> -128 goto 2f\n" #r " = -127\n2:\n" PUT(r, k)
#ifdef AWM_SYSCALL /* the store of a word is worth two units more an element where transactions are not what is short */
#define PUT(r, k) #r " <<= 56\nr9 >>= 8\nr9 |= " #r "\n"
#define PUT_EIGHT "*(u64 *)(r1 + 0) = r9\n"
#else
#define PUT(r, k) "*(u8 *)(r1 + " #k ") = " #r "\n"
#define PUT_EIGHT ""
#endif
#define NORMALIZE(k, next) PAIR(0, r8, "r2", k) NORMALIZED(r0, k) NORMALIZED(r8, next)

__attribute__((naked)) static AWM_NOINLINE uint64_t sum_of_squares(const int32_t *x, const int32_t *end) {
    __asm__ volatile("r0 = 0\n1:\n" EIGHT(SQUARE) "r1 += 32\nif r1 != r2 goto 1b\nexit\n");
}

typedef struct norm_rule {
    int64_t m, half;
    uint64_t shift;
} norm_rule;

__attribute__((naked)) static AWM_NOINLINE void normalize(int8_t *u, const int32_t *x, const int32_t *end,
                                                          const norm_rule *rule) {
    __asm__ volatile("r5 = *(u64 *)(r4 + 0)\nr6 = *(u64 *)(r4 + 8)\nr7 = *(u64 *)(r4 + 16)\n1:\n" EIGHT(NORMALIZE)
                     PUT_EIGHT "r1 += 8\nr2 += 32\nif r2 != r3 goto 1b\nexit\n");
}
#undef PUT
#endif

AWM_NOINLINE void awm_rms_norm(int8_t *u, const int32_t *x, const awm_norm_args *a) {
    const int32_t *p, *end = x + a->n;
    const uint32_t shift = a->shift;
    const int64_t half = (int64_t)1 << (shift - 1);
    uint64_t root, sum = a->eps;
    int64_t m;
#ifdef __bpf__
    (void)p;
    sum += sum_of_squares(x, end);
#else
    for (p = x; p != end; p += 8) {
        int k;
        AWM_UNROLL(8)
        for (k = 0; k < 8; k++) sum += (uint64_t)((int64_t)p[k] * p[k]);
    }
#endif
    root = awm_isqrt(sum);
    m = (int64_t)(a->num / (root ? root : 1)); /* 0 only if a caller's scratch held rubbish */
#ifdef __bpf__
    {
        const norm_rule rule = {m, half, shift};
        normalize(u, x, end, &rule);
    }
#else
    for (p = x; p != end; p += 8, u += 8) {
        int k;
        AWM_UNROLL(8)
        for (k = 0; k < 8; k++) u[k] = (int8_t)awm_clamp((p[k] * m + half) >> shift, 127);
    }
#endif
}

static void norm(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    const awm_header *h = AWM_HEADER(model->manifest);
    const awm_layer *l = AWM_SECTION(awm_layer, model->manifest, layers) + op->layer;
    int gated = op->kind == AWM_GATED_NORM;
    int8_t *u = view_i8(model, match, view, model->at_u);
    const int32_t *x = view_i32(model, match, view, gated ? model->at_v : model->at_r);
    awm_norm_args a;
    a.num = gated ? l->gnorm_num : l->norm_num;
    a.eps = gated ? l->gnorm_eps : l->norm_eps;
    a.shift = gated ? l->gnorm_shift : l->norm_shift;
    a.n = gated ? h->d_inner : h->d_model;
    if (!awm_norm_wide(u, x, &a, model->backend)) awm_rms_norm(u, x, &a);
}

/* ---------------------------------------------------------------- matrices */

/* Says where rows [row, ..) of an op go, and how. */
static void destine(awm_store_args *a, const awm_model *model, int8_t *scratch, const awm_op *op, uint32_t row) {
    uint32_t inner;
    a->limit = AWM_RESIDUAL_MAX;
    switch (op->out) {
    case AWM_RESIDUAL_SET:
    case AWM_RESIDUAL_ADD:
        a->kind = op->out == AWM_RESIDUAL_ADD ? AWM_ADD_I32 : AWM_STORE_I32;
        a->out = scratch + model->at_r + 4 * row;
        break;
    case AWM_LOGITS:
        a->kind = AWM_STORE_I32;
        a->out = scratch + model->at_logits + 4 * row;
        a->limit = AWM_LOGIT_MAX;
        break;
    case AWM_PROJ_I8:
        a->kind = AWM_STORE_I8;
        a->out = scratch + model->at_p + row;
        a->limit = 127;
        break;
    default: /* AWM_PROJ_I16: dt rows follow z, x, B, C */
        inner = 2u * AWM_HEADER(model->manifest)->d_inner + 2u * AWM_HEADER(model->manifest)->d_state;
        a->kind = AWM_STORE_I16;
        a->out = scratch + model->at_dt + 2 * (row - inner);
        a->limit = 32767;
        break;
    }
}

#ifdef __bpf__
void awm_store(const awm_store_args *a, uint32_t backend) {
    (void)backend;
    awm_store_sbf(a->acc, a, 0);
}
#else
/* Four rows at a time; locals, because out might alias the arguments. */
#define ROW(a, i, put) \
    { \
        const int64_t t = (((int64_t)acc[i] + bias[i]) * mul[i] + half) >> shift; \
        put(i); \
    }
#define FOR_EACH_ROW(a, put) \
    { \
        const int32_t *acc = (a)->acc, *bias = (a)->bias, *mul = (a)->mul; \
        const uint32_t shift = (a)->shift; \
        const int64_t half = (int64_t)1 << (shift - 1); \
        uint64_t n = (a)->rows; \
        for (; n >= 4; n -= 4, acc += 4, bias += 4, mul += 4, out += 4) { \
            ROW(a, 0, put) ROW(a, 1, put) ROW(a, 2, put) ROW(a, 3, put) \
        } \
        for (; n; n--, acc++, bias++, mul++, out++) ROW(a, 0, put) \
    }
#define PUT_I8(i) out[i] = (int8_t)awm_clamp(t, 127)
#define PUT_I16(i) out[i] = (int16_t)awm_clamp(t, 32767)
#define PUT_I32(i) out[i] = (int32_t)awm_clamp(t, limit)
#define ADD_I32(i) out[i] = (int32_t)awm_clamp(out[i] + t, limit)

static AWM_NOINLINE void store_i8(int8_t *out, const awm_store_args *a) FOR_EACH_ROW(a, PUT_I8)

static AWM_NOINLINE void store_i16(int16_t *out, const awm_store_args *a) FOR_EACH_ROW(a, PUT_I16)

static AWM_NOINLINE void store_i32(int32_t *out, const awm_store_args *a, int64_t limit) FOR_EACH_ROW(a, PUT_I32)

static AWM_NOINLINE void add_i32(int32_t *out, const awm_store_args *a, int64_t limit) FOR_EACH_ROW(a, ADD_I32)

void awm_store(const awm_store_args *a, uint32_t backend) {
    (void)backend;
    if (awm_store_wide(a, backend)) return;
    switch (a->kind) {
    case AWM_STORE_I8: store_i8(a->out, a); break;
    case AWM_STORE_I16: store_i16(a->out, a); break;
    case AWM_ADD_I32: add_i32(a->out, a, a->limit); break;
    default: store_i32(a->out, a, a->limit); break;
    }
}
#endif

#ifdef AWM_SYSCALL /* has no lanes: the sums begin where others have them, so that there are more at a time */
static int32_t *sums_of(const awm_model *model, const awm_match *match) {
    (void)model;
    return (int32_t *)(void *)match->scratch;
}

static uint32_t most_sums(const awm_model *model) {
    return model->at_bc / 4 & ~7u;
}
#else
static int32_t *sums_of(const awm_model *model, const awm_match *match) {
    return (int32_t *)(void *)(match->scratch + model->at_acc);
}

static uint32_t most_sums(const awm_model *model) {
    (void)model;
    return AWM_CHUNK;
}
#endif

static void matvec_begin(awm_matvec_args *a, const awm_model *model, const awm_match *match, const awm_op *op,
                         uint32_t view) {
    a->acc = sums_of(model, match);
    a->w = model->shards[op->shard] + op->weights;
    a->x = view_i8(model, match, view, op->out == AWM_RESIDUAL_SET ? 0 : model->at_u);
    a->lanes = (uint64_t *)(void *)match->scratch;
    a->cols = op->cols;
    a->backend = model->backend;
    awm_matvec_begin(a);
}

/* How rows from row on of an op are requantised, and where they go. */
AWM_INLINE void matvec_to(awm_store_args *s, const awm_model *model, int8_t *scratch, const awm_op *op, uint32_t row) {
    const int32_t *params = (const int32_t *)(const void *)(model->shards[op->shard] + op->params);
    s->shift = op->shift;
    s->bias = params + row;
    s->mul = params + op->rows + row;
    destine(s, model, scratch, op, op->row0 + row);
}

/* Requantises and stores the accumulators of rows [row, row + a->rows) of an op. */
AWM_INLINE void matvec_store(const awm_matvec_args *a, const awm_model *model, int8_t *scratch, const awm_op *op,
                             uint32_t row) {
    awm_store_args s;
    matvec_to(&s, model, scratch, op, row);
    s.acc = a->acc;
    s.rows = a->rows;
#ifdef AWM_SYSCALL
    awm_store_syscall(&s, a->bias64);
#else
    awm_store(&s, a->backend);
#endif
}

static void matvec(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    const uint32_t most = most_sums(model);
    uint32_t row;
    awm_matvec_args a;
    matvec_begin(&a, model, match, op, view);
    for (row = 0; row < op->rows; row += a.rows) {
        a.rows = op->rows - row < most ? op->rows - row : most;
        awm_matvec(&a);
        matvec_store(&a, model, view_i8(model, match, view, 0), op, row);
        a.w += (uint64_t)a.rows * a.cols;
    }
}

#ifndef AWM_PORTABLE_ONLY
/* All views, with the matrix in the backend's own order: its rank-th of n parts. */
static int matvec_blocks(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t rank, uint32_t n) {
    const uint32_t blocks = (op->rows + AWM_BLOCK_ROWS - 1u) / AWM_BLOCK_ROWS;
    awm_blocks_args a;
    uint32_t view;
    a.w = awm_blocks_of(model, (uint32_t)(op - AWM_SECTION(awm_op, model->manifest, ops)), &a.narrow);
    if (!a.w) return 0;
    a.first = blocks * rank / n * AWM_BLOCK_ROWS;
    a.end = rank + 1 == n ? op->rows : blocks * (rank + 1) / n * AWM_BLOCK_ROWS;
    a.rows = op->rows;
    a.cols = op->cols;
    a.n_views = AWM_HEADER(model->manifest)->n_views;
    for (view = 0; view < a.n_views; view++) {
        a.x[view] = view_i8(model, match, view, op->out == AWM_RESIDUAL_SET ? 0 : model->at_u);
        matvec_to(&a.to[view], model, view_i8(model, match, view, 0), op, 0);
    }
    awm_blocks(&a);
    return 1;
}

/* Both views at once, where that is faster; no such backend uses the lanes. */
static int matvec_both(const awm_model *model, const awm_match *match, const awm_op *op) {
    enum { CHUNK = 1024 };
    int32_t acc[2][CHUNK];
    awm_matvec_args a, b;
    uint32_t row;
    if (!awm_has_matvec_pair(model->backend)) return 0;
    matvec_begin(&a, model, match, op, 0);
    matvec_begin(&b, model, match, op, 1);
    a.acc = acc[0];
    b.acc = acc[1];
    for (row = 0; row < op->rows; row += a.rows) {
        a.rows = b.rows = op->rows - row < CHUNK ? op->rows - row : CHUNK;
        awm_matvec_pair(&a, &b);
        matvec_store(&a, model, view_i8(model, match, 0, 0), op, row);
        matvec_store(&b, model, view_i8(model, match, 1, 0), op, row);
        a.w += (uint64_t)a.rows * a.cols;
    }
    return 1;
}
#endif

#if !defined(AWM_PORTABLE_ONLY) || (defined(__bpf__) && !defined(AWM_SYSCALL))
#define HAS_VIEWS 1
/* Both views from one load of each weight, in the halves of words. */
static int matvec_views(const awm_model *model, const awm_match *match, const awm_op *op) {
    const uint32_t at_x = op->out == AWM_RESIDUAL_SET ? 0 : model->at_u;
    awm_views_args a;
    awm_store_args to;
    uint32_t row;
    if (model->backend != AWM_BACKEND_SWAR) return 0;
    a.sums = (uint64_t *)(void *)(match->scratch + model->at_acc);
    a.w = model->shards[op->shard] + op->weights;
    a.x[0] = view_i8(model, match, 0, at_x);
    a.x[1] = a.x[0] + model->view_bytes;
    a.lanes = (uint64_t *)(void *)match->scratch;
    a.cols = op->cols;
    awm_views_begin_swar(&a);
    for (row = 0; row < op->rows; row += a.rows) {
        a.rows = op->rows - row < AWM_CHUNK ? op->rows - row : AWM_CHUNK;
        awm_views_matvec_swar(&a);
        matvec_to(&to, model, view_i8(model, match, 0, 0), op, row);
        to.rows = a.rows;
        awm_store_views_sbf(a.sums, &to, (uint8_t *)to.out + model->view_bytes);
        a.w += (uint64_t)a.rows * a.cols;
    }
    return 1;
}
#else
#define HAS_VIEWS 0
#endif

/* Products with 4-bit weights, of all views. */
static AWM_NOINLINE void matvec_n4(const awm_model *model, const awm_match *match, const awm_op *op) {
    const uint32_t at_x = op->out == AWM_RESIDUAL_SET ? 0 : model->at_u;
    awm_matvec_args sums; /* what matvec_store reads */
    awm_n4_args a;
    uint32_t row, view;
    a.acc = (int32_t *)(void *)(match->scratch + model->at_acc);
    a.words = model->shards[op->shard] + op->weights;
    a.scales = a.words + awm_n4_words(op->rows, op->cols);
    a.lanes = (uint64_t *)(void *)match->scratch;
    a.cols = op->cols;
    a.views = AWM_HEADER(model->manifest)->n_views;
    a.backend = sums.backend = model->backend;
    sums.bias64 = 0;
    for (view = 0; view < 2; view++) a.x[view] = view_i8(model, match, view % a.views, at_x);
    awm_n4_begin(&a);
    for (row = 0; row < op->rows; row += a.rows) {
        a.rows = sums.rows = op->rows - row < AWM_CHUNK ? op->rows - row : AWM_CHUNK;
        awm_n4_matvec(&a);
#ifdef __bpf__
        if (a.views == 2) {
            awm_store_args to;
            matvec_to(&to, model, view_i8(model, match, 0, 0), op, row);
            to.rows = a.rows;
            awm_store_arrays_sbf(a.acc, &to, (uint8_t *)to.out + model->view_bytes);
            awm_n4_skip(&a, a.rows);
            continue;
        }
#endif
        for (view = 0; view < a.views; view++) {
            sums.acc = a.acc + view * AWM_CHUNK;
            matvec_store(&sums, model, view_i8(model, match, view, 0), op, row);
        }
        awm_n4_skip(&a, a.rows);
    }
}

/* ---------------------------------------------------------------- causal convolution */

AWM_INLINE int64_t signed_byte(uint64_t word, uint32_t at) {
    return (int64_t)(word << (56 - at)) >> 56;
}

static AWM_NOINLINE void conv_channels(const awm_conv_args *a) {
    const int8_t *next = a->next, *lut = a->lut + 128;
    const uint32_t *w = a->w;
    const int32_t *bias = a->bias, *mul = a->mul;
    uint32_t *samples = a->samples, *end = samples + a->n;
    int8_t *out = a->out;
    const uint32_t shift = a->shift;
    const int64_t half = (int64_t)1 << (shift - 1);
    /* channels are a multiple of 8; in fours the bookkeeping costs a quarter */
    for (; samples != end; samples += 4, next += 4, w += 4, bias += 4, mul += 4, out += 4) {
        int k;
        AWM_UNROLL(4)
        for (k = 0; k < 4; k++) {
            const uint32_t s = samples[k] >> 8 | (uint32_t)(uint8_t)next[k] << 24, v = w[k];
            int64_t sum = bias[k];
            sum += signed_byte(s, 0) * signed_byte(v, 0) + signed_byte(s, 8) * signed_byte(v, 8);
            sum += signed_byte(s, 16) * signed_byte(v, 16) + signed_byte(s, 24) * signed_byte(v, 24);
            samples[k] = s;
            out[k] = lut[awm_clamp((sum * mul[k] + half) >> shift, 127)];
        }
    }
}

void awm_conv(const awm_conv_args *a, uint32_t backend) {
    const uint32_t done = awm_conv_wide(a, backend);
    awm_conv_args rest = *a;
    (void)backend;
    rest.samples += done;
    rest.next += done;
    rest.w += done;
    rest.bias += done;
    rest.mul += done;
    rest.out += done;
    rest.n -= done;
    conv_channels(&rest);
}

static uint8_t *view_state(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    return match->state + op->layer * model->state_layer + view * model->state_view;
}

static void conv_args(awm_conv_args *a, const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    const awm_header *h = AWM_HEADER(model->manifest);
    const awm_layer *l = AWM_SECTION(awm_layer, model->manifest, layers) + op->layer;
    const uint8_t *shard = model->shards[l->shard];
    a->samples = (uint32_t *)(void *)view_state(model, match, op, view);
    a->next = view_i8(model, match, view, model->at_p) + h->d_inner;
    a->w = (const uint32_t *)(const void *)(shard + l->conv_w);
    a->bias = (const int32_t *)(const void *)(shard + l->conv_b);
    a->mul = (const int32_t *)(const void *)(shard + l->conv_m);
    a->lut = AWM_SECTION(int8_t, model->manifest, luts) + l->conv_lut;
    a->out = view_i8(model, match, view, model->at_xc);
    a->n = model->channels;
    a->shift = l->conv_shift;
}

static void conv(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    awm_conv_args a;
    conv_args(&a, model, match, op, view);
#ifdef AWM_SYSCALL
    if (most_sums(model) >= AWM_CONV_ROOM) {
        awm_conv_syscall(&a, sums_of(model, match));
        return;
    }
#endif
    awm_conv(&a, model->backend);
}

#ifdef __bpf__
static void conv_views(const awm_model *model, const awm_match *match, const awm_op *op) {
    awm_conv_args a, b;
    conv_args(&a, model, match, op, 0);
    conv_args(&b, model, match, op, 1);
    awm_conv_views_sbf(&a, &b, (uint64_t *)(void *)(match->scratch + model->at_acc));
}
#endif

/* ---------------------------------------------------------------- selective scan */

/* A linear interpolation in a table of 257 points; the product of a u32 and 256 fits 40 bits. */
static uint64_t interpolate(const uint32_t *table, uint32_t i, uint32_t fraction, uint32_t half) {
    return ((uint64_t)table[i] * (256 - fraction) + (uint64_t)table[i + 1] * fraction + half) >> 8;
}

void awm_discretize(const awm_model *model, const awm_layer *l, const awm_ssm_head *head, awm_scan_args *a,
                    int64_t dt) {
    const uint32_t *softplus = AWM_SECTION(uint32_t, model->manifest, softplus);
    const uint32_t *exp2 = AWM_SECTION(uint32_t, model->manifest, exp2);
    uint32_t j = (uint32_t)(dt + 32768);
    uint64_t sp = interpolate(softplus, j >> 8, j & 255, 128);
    uint64_t e = (sp * head->decay) >> 24; /* sp <= 2^32 - 1, as are decay and gain */
    uint64_t gain = (sp * head->gain) >> l->gain_shift;
    uint64_t decay;
    if (e > 31 * 65536 + 65535) e = 31 * 65536 + 65535;
    decay = interpolate(exp2, (uint32_t)(e >> 8) & 255, (uint32_t)e & 255, 0);
    decay = (decay + ((uint64_t)1 << (14 + (e >> 16)))) >> (15 + (e >> 16));
    a->decay = decay > 32767 ? 32767 : (int64_t)decay;
    a->gain = gain > 0x7FFFFFFF ? 0x7FFFFFFF : (int64_t)gain;
    a->y_mul = head->y_mul;
    a->x_mul = head->x_mul;
}

static uint32_t largest_magnitude(const int8_t *b, uint32_t n) {
    uint32_t i, most = 1;
    for (i = 0; i < n; i++) {
        uint32_t m = (uint32_t)(b[i] < 0 ? -b[i] : b[i]);
        if (m > most) most = m;
    }
    return most;
}

/* bc is memory for what awm_scan_begin packs; ahead is what the scan may prefetch meanwhile, or NULL. */
AWM_INLINE void scan(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view, uint64_t *bc,
                     const uint8_t *ahead) {
    const awm_header *h = AWM_HEADER(model->manifest);
    const awm_layer *l = AWM_SECTION(awm_layer, model->manifest, layers) + op->layer;
    const awm_ssm_head *heads = (const awm_ssm_head *)(const void *)(model->shards[l->shard] + l->heads);
    const int16_t *dt = (const int16_t *)(const void *)view_i8(model, match, view, model->at_dt);
    const int8_t *xc = view_i8(model, match, view, model->at_xc);
    uint32_t bmax = largest_magnitude(xc + h->d_inner, h->d_state);
    uint32_t i, first = (uint32_t)op->row0 * h->headdim;
    awm_scan_args a;
#ifdef AWM_SYSCALL
    const uint64_t states = (uint64_t)op->rows * h->headdim * h->d_state * h->n_views;
    const int few = h->d_state == 16 && h->headdim % 8 == 0 && states <= AWM_FEW_STATES;
    if (few) awm_scan_begin_syscall(bc, xc + h->d_inner, xc + h->d_inner + h->d_state);
    else
#endif
    awm_scan_begin(bc, xc + h->d_inner, xc + h->d_inner + h->d_state, h->d_state, model->backend);
    a.bc = bc;
    a.h = (int16_t *)(void *)(view_state(model, match, op, view) + 4 * model->channels) + first * h->d_state;
    a.x = xc + first;
    a.z = view_i8(model, match, view, model->at_p) + first;
    a.v = view_i32(model, match, view, model->at_v) + first;
    a.z_lut = (const int16_t *)(const void *)(AWM_SECTION(uint8_t, model->manifest, luts) + l->z_lut);
    a.headdim = h->headdim;
    a.d_state = h->d_state;
    a.x_shift = l->x_shift;
    a.y_shift = l->y_shift;
    a.x_half = (int64_t)1 << (a.x_shift - 1);
    a.y_half = (int64_t)1 << (a.y_shift - 1);
    a.backend = model->backend;
#ifndef AWM_PORTABLE_ONLY
    {
        const awm_heads_args all = {AWM_SECTION(uint32_t, model->manifest, softplus),
                                    AWM_SECTION(uint32_t, model->manifest, exp2),
                                    heads + op->row0, dt + op->row0, op->rows, bmax, l->gain_shift, ahead};
        if (awm_scan_heads_wide(&a, &all)) return;
    }
#else
    (void)ahead;
#endif
    for (i = op->row0; i < (uint32_t)op->row0 + op->rows; i++) {
        awm_discretize(model, l, heads + i, &a, dt[i]);
        a.limit = (int64_t)((uint64_t)(32768 - a.decay) * 32767 / bmax);
#ifdef AWM_SYSCALL
        if (few) awm_scan_syscall(&a);
        else
#endif
        awm_scan(&a);
        a.h += (uint32_t)a.headdim * a.d_state;
        a.x += a.headdim;
        a.z += a.headdim;
        a.v += a.headdim;
    }
}

#ifndef AWM_PORTABLE_ONLY
/* The part of the next matrix that is prefetched while heads from first on are scanned. */
static const uint8_t *scan_ahead(const awm_model *model, const awm_op *op, uint32_t view, uint32_t first) {
    const awm_header *h = AWM_HEADER(model->manifest);
    return awm_blocks_after(model, op, ((uint64_t)view * op->rows + first) * h->headdim * h->d_state * AWM_SCAN_AHEAD);
}

/* A view of a thread's own, or some heads of all views; with memory of the thread's own. */
static void ssm_share(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t rank, uint32_t n) {
    const uint32_t n_views = AWM_HEADER(model->manifest)->n_views, first = op->rows * rank / n;
    uint64_t bc[AWM_MAX_D_STATE + 1];
    awm_op part = *op;
    uint32_t view;
    if (n == n_views) {
        scan(model, match, op, rank, bc, scan_ahead(model, op, rank, 0));
        return;
    }
    part.row0 = (uint16_t)(op->row0 + first);
    part.rows = (uint16_t)(op->rows * (rank + 1) / n - first);
    for (view = 0; view < n_views; view++)
        scan(model, match, &part, view, bc, scan_ahead(model, op, view, first));
}
#else
#define scan_ahead(model, op, view, first) 0
#endif

static void ssm(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    scan(model, match, op, view, (uint64_t *)(void *)(match->scratch + model->at_bc), scan_ahead(model, op, view, 0));
}

/* ---------------------------------------------------------------- choice */

/* |r| < 2^23 times at most 128 + 254; offsets of at most 254 times a multiplier below 2^31: all below 2^40. */
static AWM_NOINLINE void shift_residual(int32_t *r, const int8_t *mine, const int8_t *theirs, const awm_op *op) {
    const uint64_t cols = op->cols, offsets = 2 * cols * op->rows; /* from a gate to its offset */
    const int64_t mul = op->params, half = (int64_t)1 << (op->shift - 1);
    const uint32_t shift = op->shift;
    const int32_t *end = r + cols;
    for (; r != end; r++, mine++, theirs++) {
        int64_t gate = 128 + *mine + *theirs, offset = mine[offsets] + theirs[offsets];
        *r = (int32_t)awm_clamp(((*r * gate + 64) >> 7) + ((offset * mul + half) >> shift), AWM_RESIDUAL_MAX);
    }
}

/* The leading head's choices, this view's and the other's, change what the other heads will read. */
static void choose(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    const int8_t *gates = (const int8_t *)(model->shards[op->shard] + op->weights);
    const uint64_t cols = op->cols;
    uint64_t mine = awm_argmax(awm_logits(model, match->scratch, view), op->rows);
    uint64_t theirs = awm_argmax(awm_logits(model, match->scratch, 1 - view), op->rows);
    int32_t *r = view_i32(model, match, view, model->at_r);
    const int8_t *my_gate = gates + mine * cols, *their_gate = gates + (op->rows + theirs) * cols;
    if (!awm_shift_residual_wide(r, my_gate, their_gate, op, model->backend))
        shift_residual(r, my_gate, their_gate, op);
}

/* ---------------------------------------------------------------- the tape */

static void run_op(const awm_model *model, const awm_match *match, const awm_op *op, uint32_t view) {
    switch (op->kind) {
    case AWM_FEATURES: awm_encode(model, match, view, view_i8(model, match, view, 0)); break;
    case AWM_NORM:
    case AWM_GATED_NORM: norm(model, match, op, view); break;
    case AWM_MATVEC: matvec(model, match, op, view); break;
    case AWM_CONV: conv(model, match, op, view); break;
    case AWM_CHOOSE: choose(model, match, op, view); break;
    default: ssm(model, match, op, view); break;
    }
}

int awm_run(const awm_model *model, const awm_match *match, uint32_t begin, uint32_t end) {
    const awm_op *ops = AWM_SECTION(awm_op, model->manifest, ops);
    uint32_t i, view, n_views = AWM_HEADER(model->manifest)->n_views;
    if (begin < model->first_op || begin > end || end > model->last_op) return AWM_ERR_RANGE;
    if (((uintptr_t)match->state | (uintptr_t)match->scratch | (uintptr_t)match->frame) % 8) return AWM_ERR_ALIGNMENT;
    if ((uintptr_t)match->inputs % 4) return AWM_ERR_ALIGNMENT;
    for (i = begin; i < end; i++) {
        if (ops[i].kind == AWM_DECODE) {
            awm_decode(model, match);
            continue;
        }
        if (ops[i].kind == AWM_MATVEC && ops[i].format == AWM_FORMAT_N4) {
            matvec_n4(model, match, ops + i);
            continue;
        }
#ifdef __bpf__
        if (n_views == 2 && ops[i].kind == AWM_CONV) {
            conv_views(model, match, ops + i);
            continue;
        }
#endif
#if HAS_VIEWS
        if (n_views == 2 && ops[i].kind == AWM_MATVEC && matvec_views(model, match, ops + i)) continue;
#endif
#ifndef AWM_PORTABLE_ONLY
        if (ops[i].kind == AWM_MATVEC && matvec_blocks(model, match, ops + i, 0, 1)) continue;
        if (n_views == 2 && ops[i].kind == AWM_MATVEC && matvec_both(model, match, ops + i)) continue;
#endif
        for (view = 0; view < n_views; view++) run_op(model, match, ops + i, view);
    }
    return AWM_OK;
}

#ifndef AWM_PORTABLE_ONLY
/* Whether each thread keeps to views of its own in an op. */
static int by_views(const awm_op *op, uint32_t n_views, uint32_t n) {
    return op->kind != AWM_MATVEC && op->kind != AWM_DECODE && (op->kind != AWM_SSM || n == n_views);
}

/* What a thread wrote in op i others read in the next one, unless both keep to views or multiply by the same vector. */
int awm_shares_meet(const awm_model *model, uint32_t i, uint32_t n) {
    const awm_op *op = AWM_SECTION(awm_op, model->manifest, ops) + i;
    const uint32_t n_views = AWM_HEADER(model->manifest)->n_views;
    if (i + 1 == awm_n_ops(model) || op[1].kind == AWM_CHOOSE) return 1;
    if (op->kind == AWM_MATVEC && op[1].kind == AWM_MATVEC) return 0;
    return !by_views(op, n_views, n) || !by_views(op + 1, n_views, n);
}

/* Matrices without blocks use the scratch that all views share: the first thread multiplies them alone. */
void awm_run_share(const awm_model *model, const awm_match *match, uint32_t i, uint32_t rank, uint32_t n) {
    const awm_op *op = AWM_SECTION(awm_op, model->manifest, ops) + i;
    const uint32_t n_views = AWM_HEADER(model->manifest)->n_views;
    uint32_t view;
    if (op->kind == AWM_SSM)
        ssm_share(model, match, op, rank, n);
    else if (by_views(op, n_views, n))
        for (view = rank; view < n_views; view += n) run_op(model, match, op, view);
    else if (op->kind == AWM_DECODE || !matvec_blocks(model, match, op, rank, n)) {
        if (rank == 0) awm_run(model, match, i, i + 1);
    }
}
#endif

int awm_step(const awm_model *model, const awm_match *match) {
    return awm_run(model, match, 0, AWM_HEADER(model->manifest)->n_ops);
}

const int32_t *awm_logits(const awm_model *model, const uint8_t *scratch, uint32_t view) {
    return (const int32_t *)(const void *)(scratch + model->at_views + view * model->view_bytes + model->at_logits);
}
