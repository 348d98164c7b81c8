/* awm.h: one frame of a learned world, in integers. The public interface.
 *
 * The same sources run natively, as SBF bytecode and as WASM, and give the same bytes: see NUMERICS.md.
 * No float, libc, malloc, writable globals or recursion; the caller owns all memory. (Natively threads, if started,
 * are the system's, and AVX-512 takes a root in double, which it checks.) Functions take at
 * most five arguments and few stack bytes because that is what BPF has.
 *
 * Memory safety: once awm_open or awm_open_range has returned AWM_OK, no content of manifest, shards,
 * state, frame or inputs can make awm_run read or write outside of what it was given.
 */
#ifndef AWM_H
#define AWM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AWM_FRAME_BYTES 80u      /* frame record: 16 global bytes, 2 players of 32 */
#define AWM_CONTROLLER_BYTES 12u /* inputs are two of these */
#define AWM_MAX_SHARDS 64u

/* Every way in which a model can be refused. */
typedef enum awm_error {
    AWM_OK = 0,
    AWM_ERR_SHORT = 1,          /* the manifest ends before its header does */
    AWM_ERR_ALIGNMENT = 2,      /* a pointer is not a multiple of 8 */
    AWM_ERR_MAGIC = 3,          /* not a manifest */
    AWM_ERR_VERSION = 4,        /* a version or weight format that this kernel does not know */
    AWM_ERR_LENGTH = 5,         /* total_len is not the manifest's length */
    AWM_ERR_DIMENSIONS = 6,     /* a dimension is out of range or they disagree */
    AWM_ERR_SECTION = 7,        /* a section is misaligned or ends outside of the manifest */
    AWM_ERR_SHARD_COUNT = 8,    /* more or fewer shards than the manifest lists */
    AWM_ERR_SHARD_LENGTH = 9,   /* a shard is not as long as the manifest says */
    AWM_ERR_SHARD_MISSING = 10, /* an op needs a shard that was not passed */
    AWM_ERR_LAYER = 11,         /* a layer record's number or offset is out of range */
    AWM_ERR_FEATURE = 12,       /* a feature reads or writes out of range */
    AWM_ERR_HEAD = 13,          /* a head reads or writes out of range */
    AWM_ERR_OP = 14,            /* an op's rows, columns, shift or offsets are out of range */
    AWM_ERR_TAPE = 15,          /* the tape is not one whole frame in order */
    AWM_ERR_SEGMENTS = 16,      /* the segment table does not cut the tape into rising pieces */
    AWM_ERR_WEIGHT = 17,        /* a weight byte is outside of 1..127, a multiplier negative, or a bias too low */
    AWM_ERR_RANGE = 18,         /* ops were asked for that awm_open_range did not check */
    AWM_ERR_BACKEND = 19,       /* this CPU or build lacks the backend */
    AWM_ERR_THREADS = 20        /* too many threads, or the system gave no more */
} awm_error;

typedef enum awm_backend {
    AWM_BACKEND_AUTO = 0,
    AWM_BACKEND_PORTABLE = 1,   /* plain loops */
    AWM_BACKEND_SWAR = 2,       /* lanes inside 64-bit words: what SBF runs */
    AWM_BACKEND_AVX2 = 3,
    AWM_BACKEND_AVX512VNNI = 4,
    AWM_BACKEND_NEON = 5        /* AArch64 with dot products */
} awm_backend;

/* A world's bytes. Must outlive the model; manifest and shards are aligned to 8. */
typedef struct awm_files {
    const uint8_t *manifest;
    uint64_t manifest_len;
    const uint8_t *const *shards; /* n_shards pointers; awm_open_range accepts NULL ones */
    const uint64_t *shard_lens;
    uint64_t n_shards;
} awm_files;

/* A checked view of a world; no fields are for the caller. */
typedef struct awm_model {
    const uint8_t *manifest;
    const uint8_t *const *shards;
    uint32_t first_op, last_op;                 /* ops that were checked */
    uint32_t state_layer, state_view;           /* strides of the state, bytes */
    uint32_t view_bytes;                        /* stride of the views in the scratch */
    uint32_t at_u, at_r, at_p, at_dt, at_xc, at_v, at_logits; /* offsets in a view's scratch */
    uint32_t at_acc, at_bc, at_old, at_views;   /* offsets in the scratch; lanes are at 0 */
    uint32_t state_bytes, scratch_bytes;
    uint32_t channels;                          /* d_inner + 2 d_state */
    uint32_t backend;
#ifndef AWM_PORTABLE_ONLY
    const uint8_t *blocks; /* a copy of the matrices in the backend's own order, or NULL */
    uint32_t blocks_ahead; /* bytes by which they are prefetched */
#endif
} awm_model;

/* One match's memory, all aligned to 8. */
typedef struct awm_match {
    uint8_t *state;        /* awm_state_bytes; zeros when the match begins */
    uint8_t *scratch;      /* awm_scratch_bytes; lives from the first to the last piece of a frame */
    uint8_t *frame;        /* AWM_FRAME_BYTES; changed by the last op only */
    const uint8_t *inputs; /* two controllers */
} awm_match;

/* Checks everything and opens the whole tape. */
int awm_open(awm_model *model, const awm_files *files);

/* Checks the manifest alone: what a finalised ModelManifest must pass. Shard lengths are taken from its table. */
int awm_check(const uint8_t *manifest, uint64_t len);

/* Checks and opens only ops [begin, end): for a transaction that holds some of the shards. Unlike awm_open it
 * does not check that the tape is in order, nor sections that these ops do not read. */
int awm_open_range(awm_model *model, const awm_files *files, uint32_t begin, uint32_t end);

/* Checks that in ops [begin, end) weight bytes are 1..127 and multipliers not negative: the backends agree on no others. */
int awm_check_weights(const awm_model *model, uint32_t begin, uint32_t end);

uint32_t awm_n_ops(const awm_model *model);
uint32_t awm_state_bytes(const awm_model *model);
uint32_t awm_scratch_bytes(const awm_model *model);

/* Runs ops [begin, end) of a frame. A frame may be run in any number of pieces, in order. */
int awm_run(const awm_model *model, const awm_match *match, uint32_t begin, uint32_t end);

/* Runs a whole frame. */
int awm_step(const awm_model *model, const awm_match *match);

/* n_logits values (Q12) of a view, valid between the LOGITS ops and the next frame. */
const int32_t *awm_logits(const awm_model *model, const uint8_t *scratch, uint32_t view);

#ifndef AWM_PORTABLE_ONLY
/* n matches, one after another, sharing one scratch: states, frames and inputs lie one after another.
 * logits: NULL, or n * n_views * n_logits values to fill. */
typedef struct awm_batch {
    uint64_t n;
    uint8_t *states, *scratch, *frames;
    const uint8_t *inputs;
    int32_t *logits;
} awm_batch;
int awm_step_many(const awm_model *model, const awm_batch *batch);

/* Threads that share each frame's work, the caller among them; no others run unless these are started. One frame at a
 * time: a team belongs to one caller. awm_team_start needs awm_team_bytes of memory, aligned to 64, until awm_team_stop. */
typedef struct awm_team awm_team;
uint32_t awm_team_bytes(void);
int awm_team_start(awm_team *team, uint32_t n_threads);
void awm_team_stop(awm_team *team);

/* What awm_step does, by the team. */
int awm_team_step(awm_team *team, const awm_model *model, const awm_match *match);

/* Chooses an implementation; AUTO is the fastest of this CPU. AWM_ERR_BACKEND leaves the model as it was. */
int awm_set_backend(awm_model *model, uint32_t backend);

/* Some backends are faster with a copy of the matrices in an order of their own. The bytes that it takes; 0 where there
 * is no such order, or where it would take much more than the shards, whose ops then share weights. */
uint64_t awm_blocks_bytes(const awm_model *model);

/* Makes that copy in memory, which is aligned to 8, better to 64, and outlives the model; awm_set_backend lets go of it. */
void awm_make_blocks(awm_model *model, uint8_t *memory);

uint32_t awm_model_bytes(void); /* sizeof(awm_model), for callers that have no C compiler's eyes */

/* "MAGIC" for AWM_ERR_MAGIC, and so on. */
const char *awm_error_name(int error);
#endif

#ifdef __cplusplus
}
#endif
#endif
