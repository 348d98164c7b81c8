/* awm_format.h: the records of a ModelManifest; the C twin of quant/layout.py, see MODEL_FILE.md.
 *
 * Little endian. Every field lies at a multiple of its size, so plain structs have no padding; the
 * assertions below hold that, tests/test_layout.py compares each offset with Python's.
 */
#ifndef AWM_FORMAT_H
#define AWM_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "records are read in place: a little-endian target is needed"
#endif

#define AWM_STATIC_ASSERT(name, condition) typedef char awm_assert_##name[(condition) ? 1 : -1]

enum {
    AWM_VERSION = 3, /* 1, which knows no CHOOSE, and 2, which knows no mirrors, are read too */
    AWM_VERSION_NO_MIRROR = 2,
    AWM_FORMAT_I8 = 0,
    AWM_FORMAT_N4 = 1, /* 4-bit weights: awm_matvec_n4.h */
    AWM_WEIGHT_BIAS = 64,
    AWM_LUT_POINTS = 257,
    AWM_MAX_DIM = 4096,
    AWM_MAX_D_STATE = 256,
    AWM_MAX_LAYERS = 64,
    AWM_MAX_LOGITS = 16384,
    AWM_NO_SLOT = 0xFF,
    AWM_NO_END = 0xFF,
    AWM_NO_ROW = 0xFFFF,
    AWM_GLOBAL_BYTES = 16,
    AWM_PLAYER_BYTES = 32,
    AWM_WEIGHT_TAIL = 8 /* bytes that must follow a matrix in its shard: wide loads read past its end */
};
#define AWM_NORM_LIMIT ((uint64_t)1 << 60)

enum { AWM_I8, AWM_U8, AWM_I16, AWM_U16, AWM_I32, AWM_U32 };                      /* field types */
enum { AWM_SELF, AWM_OTHER, AWM_GLOBAL, AWM_INPUT, AWM_OTHER_INPUT };             /* slots */
enum { AWM_LINEAR, AWM_TABLE, AWM_BITS };                                         /* feature modes */
enum { AWM_CLASS, AWM_MIX };                                                      /* head kinds */
enum { AWM_KIND_OLD, AWM_KIND_BASE, AWM_KIND_SET, AWM_KIND_FREE };                /* classes of a MIX */
enum { AWM_FEATURES, AWM_NORM, AWM_MATVEC, AWM_CONV, AWM_SSM, AWM_GATED_NORM, AWM_DECODE, AWM_CHOOSE }; /* ops */
enum { AWM_RESIDUAL_SET, AWM_PROJ_I8, AWM_PROJ_I16, AWM_RESIDUAL_ADD, AWM_LOGITS }; /* matvec outputs */

typedef struct awm_header {
    char magic[8];
    uint32_t version, total_len;
    uint16_t d_model, d_inner, d_state, headdim, nheads;
    uint8_t d_conv, n_layers, n_views, n_players;
    uint16_t d_feat, n_logits, n_features, n_heads, n_ops, n_shards, n_segments;
    uint8_t end_type, end_offset;
    uint16_t embed_shard;
    int32_t end_value;
    uint32_t format, n_consts, n_lead;
    uint32_t off_shards, off_features, off_heads, off_consts, off_kinds, off_softplus, off_exp2, off_luts;
    uint32_t off_layers, off_ops, off_segments, off_schema, len_schema, off_notes, len_notes, len_luts;
    uint64_t n_params;
    char name[32];
    uint8_t parent[32], reserved[56];
} awm_header;

typedef struct awm_shard {
    uint64_t length;
    uint32_t format, reserved;
    uint8_t sha256[32];
} awm_shard;

/* operand: of BITS the first bit; of LINEAR 0, or 1 + offset of the mirror, an i8 field of the player of slot's side. */
typedef struct awm_feature {
    uint8_t mode, slot, type, offset, minus_slot, shift, width, operand;
    int32_t bias, mul;
    uint32_t table;
    uint16_t rows, out;
} awm_feature;

typedef struct awm_head {
    uint8_t kind, slot, type, offset;
    uint16_t n_classes, row0;
    uint32_t consts;
    int32_t step, lo, hi;
    uint16_t free_row;
    uint8_t free_shift, n_velocities, velocity[2];
    uint16_t reserved;
    int32_t free_mul, free_lo, free_hi;
} awm_head;

typedef struct awm_layer {
    uint64_t norm_num, norm_eps, gnorm_num, gnorm_eps;
    uint8_t norm_shift, gnorm_shift, conv_shift, gain_shift, x_shift, y_shift;
    uint16_t shard;
    uint32_t conv_w, conv_b, conv_m, heads, z_lut, conv_lut;
} awm_layer;

typedef struct awm_ssm_head {
    uint32_t decay, gain;
    int32_t y_mul, x_mul;
} awm_ssm_head;

typedef struct awm_op {
    uint8_t kind, layer, out, shift;
    uint16_t row0, rows, cols, shard;
    uint32_t weights, params, format;
} awm_op;

AWM_STATIC_ASSERT(header_size, sizeof(awm_header) == 256);
AWM_STATIC_ASSERT(shard_size, sizeof(awm_shard) == 48);
AWM_STATIC_ASSERT(feature_size, sizeof(awm_feature) == 24);
AWM_STATIC_ASSERT(head_size, sizeof(awm_head) == 44);
AWM_STATIC_ASSERT(layer_size, sizeof(awm_layer) == 64);
AWM_STATIC_ASSERT(ssm_head_size, sizeof(awm_ssm_head) == 16);
AWM_STATIC_ASSERT(op_size, sizeof(awm_op) == 24);

/* Sections of a checked manifest. */
#define AWM_HEADER(m) ((const awm_header *)(const void *)(m))
#define AWM_SECTION(type, m, name) ((const type *)(const void *)((m) + AWM_HEADER(m)->off_##name))

#endif
