/* awm_dispatch.c: the only file that knows CPUs. SBF and WASM have one variant, chosen when compiling. */
#include "awm_ops.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#ifdef AWM_PORTABLE_ONLY

#ifndef AWM_SYSCALL /* else a system call multiplies: programs/world-model/matvec_syscall.c */

void awm_matvec_begin(awm_matvec_args *a) {
    a->bias64 = 64 * awm_spread_swar(a->lanes, a->x, a->cols);
}

void awm_matvec(const awm_matvec_args *a) {
    awm_matvec_swar(a);
}

#endif

void awm_scan_begin(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state, uint32_t backend) {
    (void)backend;
    awm_scan_begin_swar(bc, b, c, d_state);
}

void awm_scan(const awm_scan_args *a) {
    awm_scan_swar(a);
}

#else

static int cpu_has(uint32_t backend) {
    switch (backend) {
    case AWM_BACKEND_PORTABLE:
    case AWM_BACKEND_SWAR: return 1;
#if defined(__x86_64__)
    case AWM_BACKEND_AVX2: return __builtin_cpu_supports("avx2") != 0;
    case AWM_BACKEND_AVX512VNNI:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512vnni");
#endif
#if defined(__aarch64__) && defined(__linux__)
    case AWM_BACKEND_NEON: return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#elif defined(__aarch64__) && defined(__APPLE__)
    case AWM_BACKEND_NEON: return 1; /* every Apple silicon has dot products */
#endif
    default: return 0;
    }
}

int awm_set_backend(awm_model *model, uint32_t backend) {
    if (backend == AWM_BACKEND_AUTO) {
        backend = AWM_BACKEND_NEON;
        while (!cpu_has(backend)) backend--;
        if (backend == AWM_BACKEND_SWAR) backend = AWM_BACKEND_PORTABLE; /* vectorised for the target, faster */
    }
    if (!cpu_has(backend)) return AWM_ERR_BACKEND;
    model->backend = backend;
    model->blocks = 0;
    return AWM_OK;
}

void awm_matvec_begin(awm_matvec_args *a) {
    int swar = a->backend == AWM_BACKEND_SWAR;
    a->bias64 = 64 * (swar ? awm_spread_swar(a->lanes, a->x, a->cols) : awm_sum_portable(a->x, a->cols));
}

void awm_matvec(const awm_matvec_args *a) {
    switch (a->backend) {
#if defined(__x86_64__)
    case AWM_BACKEND_AVX512VNNI: awm_matvec_avx512vnni(a); break;
    case AWM_BACKEND_AVX2: awm_matvec_avx2(a); break;
#elif defined(__aarch64__)
    case AWM_BACKEND_NEON: awm_matvec_neon(a); break;
#endif
    case AWM_BACKEND_SWAR: awm_matvec_swar(a); break;
    default: awm_matvec_portable(a); break;
    }
}

void awm_scan_begin(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state, uint32_t backend) {
    if (backend == AWM_BACKEND_SWAR)
        awm_scan_begin_swar(bc, b, c, d_state);
    else
        awm_scan_begin_portable(bc, b, c, d_state);
}

void awm_scan(const awm_scan_args *a) {
    switch (a->backend) {
#if defined(__x86_64__)
    case AWM_BACKEND_AVX512VNNI: awm_scan_avx512(a); break;
    case AWM_BACKEND_AVX2: awm_scan_avx2(a); break;
#endif
    case AWM_BACKEND_SWAR: awm_scan_swar(a); break;
    default: awm_scan_portable(a); break;
    }
}

#if defined(__x86_64__)

int awm_has_matvec_pair(uint32_t backend) {
    return backend == AWM_BACKEND_AVX512VNNI;
}

void awm_matvec_pair(const awm_matvec_args *a, const awm_matvec_args *b) {
    awm_matvec_pair_avx512vnni(a, b);
}

/* One backend has blocks. */
uint64_t awm_blocks_bytes_of(uint32_t rows, uint32_t cols) {
    return awm_blocks_bytes_avx512vnni(rows, cols);
}

void awm_blocks_fill(uint8_t *to, const uint8_t *w, uint32_t rows, uint32_t cols) {
    awm_blocks_fill_avx512vnni(to, w, rows, cols);
}

void awm_blocks(awm_blocks_args *a) {
    awm_blocks_avx512vnni(a);
}

int awm_store_wide(const awm_store_args *a, uint32_t backend) {
    if (backend != AWM_BACKEND_AVX512VNNI) return 0;
    awm_store_avx512(a);
    return 1;
}

int awm_norm_wide(int8_t *u, const int32_t *x, const awm_norm_args *a, uint32_t backend) {
    if (backend != AWM_BACKEND_AVX512VNNI) return 0;
    awm_norm_avx512(u, x, a);
    return 1;
}

uint32_t awm_conv_wide(const awm_conv_args *a, uint32_t backend) {
    return backend == AWM_BACKEND_AVX512VNNI ? awm_conv_avx512(a) : 0;
}

int awm_shift_residual_wide(int32_t *r, const int8_t *mine, const int8_t *theirs, const awm_op *op, uint32_t backend) {
    if (backend != AWM_BACKEND_AVX512VNNI) return 0;
    awm_shift_residual_avx512(r, mine, theirs, op);
    return 1;
}

int awm_scan_heads_wide(const awm_scan_args *first, const awm_heads_args *h) {
    if (first->backend != AWM_BACKEND_AVX512VNNI) return 0;
    awm_scan_heads_avx512(first, h);
    return 1;
}

#else

uint64_t awm_blocks_bytes_of(uint32_t rows, uint32_t cols) {
    (void)rows, (void)cols;
    return 0;
}

void awm_blocks_fill(uint8_t *to, const uint8_t *w, uint32_t rows, uint32_t cols) {
    (void)to, (void)w, (void)rows, (void)cols;
}

void awm_blocks(awm_blocks_args *a) {
    (void)a;
}

int awm_has_matvec_pair(uint32_t backend) {
    (void)backend;
    return 0;
}

void awm_matvec_pair(const awm_matvec_args *a, const awm_matvec_args *b) {
    awm_matvec(a);
    awm_matvec(b);
}

int awm_store_wide(const awm_store_args *a, uint32_t backend) {
    (void)a, (void)backend;
    return 0;
}

int awm_norm_wide(int8_t *u, const int32_t *x, const awm_norm_args *a, uint32_t backend) {
    (void)u, (void)x, (void)a, (void)backend;
    return 0;
}

uint32_t awm_conv_wide(const awm_conv_args *a, uint32_t backend) {
    (void)a, (void)backend;
    return 0;
}

int awm_shift_residual_wide(int32_t *r, const int8_t *mine, const int8_t *theirs, const awm_op *op, uint32_t backend) {
    (void)r, (void)mine, (void)theirs, (void)op, (void)backend;
    return 0;
}

int awm_scan_heads_wide(const awm_scan_args *first, const awm_heads_args *h) {
    (void)first, (void)h;
    return 0;
}

#endif

/* ---------------------------------------------------------------- native callers only */

int awm_step_many(const awm_model *model, const awm_batch *batch) {
    const awm_header *h = AWM_HEADER(model->manifest);
    int32_t *logits = batch->logits;
    awm_match match;
    uint64_t i;
    uint32_t view, k;
    match.state = batch->states;
    match.scratch = batch->scratch;
    match.frame = batch->frames;
    match.inputs = batch->inputs;
    for (i = 0; i < batch->n; i++) {
        int error = awm_step(model, &match);
        if (error) return error;
        for (view = 0; logits && view < h->n_views; view++) {
            const int32_t *from = awm_logits(model, batch->scratch, view);
            for (k = 0; k < h->n_logits; k++) *logits++ = from[k];
        }
        match.state += model->state_bytes;
        match.frame += AWM_FRAME_BYTES;
        match.inputs += 2 * AWM_CONTROLLER_BYTES;
    }
    return AWM_OK;
}

uint32_t awm_model_bytes(void) {
    return sizeof(awm_model);
}

const char *awm_error_name(int error) {
    static const char *const names[] = {
        "OK", "SHORT", "ALIGNMENT", "MAGIC", "VERSION", "LENGTH", "DIMENSIONS", "SECTION", "SHARD_COUNT",
        "SHARD_LENGTH", "SHARD_MISSING", "LAYER", "FEATURE", "HEAD", "OP", "TAPE", "SEGMENTS", "WEIGHT", "RANGE",
        "BACKEND", "THREADS"};
    return error >= 0 && error < (int)(sizeof names / sizeof *names) ? names[error] : "UNKNOWN";
}

#endif
