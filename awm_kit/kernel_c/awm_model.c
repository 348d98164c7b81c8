/* awm_model.c: checks a world's bytes, once, so that a step never has to. */
#include "awm_matvec_n4.h"
#include "awm_ops.h"

/* ---------------------------------------------------------------- header and sections */

static int dim_ok(uint32_t n, uint32_t multiple, uint32_t most) {
    return n >= multiple && n <= most && n % multiple == 0;
}

static int field_ok(uint32_t type, uint32_t offset, uint32_t room) {
    uint32_t size;
    if (type > AWM_U32) return 0;
    size = 1u << (type >> 1);
    return offset % size == 0 && offset + size <= room;
}

static int check_header(const uint8_t *m, uint64_t len) {
    static const char magic[8] = {'A', 'W', 'M', 'M', 'O', 'D', 'E', 'L'};
    const awm_header *h = AWM_HEADER(m);
    uint32_t i;
    if (len < sizeof(awm_header)) return AWM_ERR_SHORT;
    if ((uintptr_t)m % 8) return AWM_ERR_ALIGNMENT;
    for (i = 0; i < 8; i++) {
        if (h->magic[i] != magic[i]) return AWM_ERR_MAGIC;
    }
    if (h->version < 1 || h->version > AWM_VERSION || h->format > AWM_FORMAT_N4) return AWM_ERR_VERSION;
    if (h->total_len != len) return AWM_ERR_LENGTH;
    if (!dim_ok(h->d_model, 8, AWM_MAX_DIM) || !dim_ok(h->d_inner, 8, AWM_MAX_DIM)
        || !dim_ok(h->d_feat, 8, AWM_MAX_DIM) || !dim_ok(h->d_state, 4, AWM_MAX_D_STATE))
        return AWM_ERR_DIMENSIONS;
    if (h->headdim == 0 || (uint32_t)h->nheads * h->headdim != h->d_inner) return AWM_ERR_DIMENSIONS;
    if (h->d_conv != 4 || h->n_players != 2 || h->n_views < 1 || h->n_views > 2) return AWM_ERR_DIMENSIONS;
    if (h->n_layers < 1 || h->n_layers > AWM_MAX_LAYERS) return AWM_ERR_DIMENSIONS;
    if (h->n_logits < 1 || h->n_logits > AWM_MAX_LOGITS) return AWM_ERR_DIMENSIONS;
    if (h->n_lead && (h->n_lead >= h->n_logits || h->n_views != 2)) return AWM_ERR_DIMENSIONS;
    if (h->n_shards < 1 || h->n_shards > AWM_MAX_SHARDS || h->embed_shard >= h->n_shards)
        return AWM_ERR_DIMENSIONS;
    if (h->end_type != AWM_NO_END && !field_ok(h->end_type, h->end_offset, AWM_PLAYER_BYTES))
        return AWM_ERR_DIMENSIONS;
    return AWM_OK;
}

/* Layer record of the last norm: records after the layers hold the norms before the leading logits and the others. */
static uint32_t last_norm(const awm_header *h) {
    return h->n_lead ? h->n_layers + 1u : h->n_layers;
}

static int section_ok(const awm_header *h, uint32_t offset, uint64_t size) {
    return offset % 8 == 0 && offset >= sizeof(awm_header) && offset + size <= h->total_len;
}

static int check_sections(const awm_header *h) {
    int ok = section_ok(h, h->off_shards, (uint64_t)h->n_shards * sizeof(awm_shard))
        && section_ok(h, h->off_features, (uint64_t)h->n_features * sizeof(awm_feature))
        && section_ok(h, h->off_heads, (uint64_t)h->n_heads * sizeof(awm_head))
        && section_ok(h, h->off_consts, (uint64_t)h->n_consts * 4)
        && section_ok(h, h->off_kinds, h->n_consts)
        && section_ok(h, h->off_softplus, AWM_LUT_POINTS * 4)
        && section_ok(h, h->off_exp2, AWM_LUT_POINTS * 4)
        && section_ok(h, h->off_luts, h->len_luts)
        && section_ok(h, h->off_layers, ((uint64_t)last_norm(h) + 1) * sizeof(awm_layer))
        && section_ok(h, h->off_ops, (uint64_t)h->n_ops * sizeof(awm_op))
        && section_ok(h, h->off_segments, (uint64_t)h->n_segments * 2)
        && section_ok(h, h->off_schema, h->len_schema)
        && section_ok(h, h->off_notes, h->len_notes);
    return ok ? AWM_OK : AWM_ERR_SECTION;
}

/* ---------------------------------------------------------------- records */

/* size bytes at offset, a multiple of 8, lie in a shard; lengths are the manifest's, checked against the files. */
static int in_shard(const uint8_t *m, uint32_t shard, uint32_t offset, uint64_t size) {
    uint64_t length;
    if (shard >= AWM_HEADER(m)->n_shards || offset % 8) return 0;
    length = AWM_SECTION(awm_shard, m, shards)[shard].length;
    return size <= length && offset <= length - size;
}

static int shift_ok(uint32_t shift) {
    return shift >= 1 && shift <= 62;
}

static int norm_ok(uint64_t num, uint64_t eps, uint32_t shift) {
    return num < AWM_NORM_LIMIT && eps >= 1 && eps < AWM_NORM_LIMIT && shift_ok(shift);
}

static uint32_t slot_bytes(uint32_t slot) {
    static const uint8_t bytes[5] = {AWM_PLAYER_BYTES, AWM_PLAYER_BYTES, AWM_GLOBAL_BYTES,
                                     AWM_CONTROLLER_BYTES, AWM_CONTROLLER_BYTES};
    return slot < 5 ? bytes[slot] : 0;
}

/* Any byte of a player's record is an i8; versions before 3 know no mirrors, and the frame's fields have no side. */
static int mirror_ok(const awm_header *h, const awm_feature *f) {
    if (f->operand == 0) return 1;
    return h->version > AWM_VERSION_NO_MIRROR && f->slot != AWM_GLOBAL && f->operand <= AWM_PLAYER_BYTES;
}

static int check_feature(const uint8_t *m, const awm_feature *f) {
    const awm_header *h = AWM_HEADER(m);
    uint32_t outputs = f->mode == AWM_LINEAR ? 1 : f->width;
    if (!field_ok(f->type, f->offset, slot_bytes(f->slot))) return AWM_ERR_FEATURE;
    if (outputs == 0 || (uint32_t)f->out + outputs > h->d_feat) return AWM_ERR_FEATURE;
    switch (f->mode) {
    case AWM_LINEAR:
        if (!shift_ok(f->shift)) return AWM_ERR_FEATURE;
        if (f->minus_slot != AWM_NO_SLOT && !field_ok(f->type, f->offset, slot_bytes(f->minus_slot)))
            return AWM_ERR_FEATURE;
        return mirror_ok(h, f) ? AWM_OK : AWM_ERR_FEATURE;
    case AWM_TABLE: {
        uint64_t end = f->table + (uint64_t)f->rows * f->width;
        return f->rows >= 1 && in_shard(m, h->embed_shard, 0, end) ? AWM_OK : AWM_ERR_FEATURE;
    }
    case AWM_BITS: {
        uint32_t bits = 8u << (f->type >> 1);
        int fits = (uint32_t)f->operand + f->width <= bits && f->mul >= -127 && f->mul <= 127;
        return fits ? AWM_OK : AWM_ERR_FEATURE;
    }
    default:
        return AWM_ERR_FEATURE;
    }
}

/* lo..hi must be values of the field's type: the store that ends a decode does not wrap. */
static int value_range_ok(uint32_t type, int64_t lo, int64_t hi) {
    uint32_t bits = 8u << (type >> 1);
    int64_t least = type & 1 ? 0 : -((int64_t)1 << (bits - 1));
    int64_t most = ((int64_t)1 << (type & 1 ? bits : bits - 1)) - 1;
    return least <= lo && lo <= hi && hi <= most;
}

static int check_mix(const uint8_t *m, const awm_head *head) {
    const awm_header *h = AWM_HEADER(m);
    const uint8_t *kinds = m + h->off_kinds;
    int free_ok = head->free_row < h->n_logits && shift_ok(head->free_shift);
    uint32_t i;
    if ((uint64_t)head->consts + head->n_classes > h->n_consts) return AWM_ERR_HEAD;
    if (head->n_velocities > 2) return AWM_ERR_HEAD;
    for (i = 0; i < head->n_velocities; i++) {
        if (!field_ok(AWM_I16, head->velocity[i], AWM_PLAYER_BYTES)) return AWM_ERR_HEAD;
    }
    for (i = 0; i < head->n_classes; i++) {
        uint32_t kind = kinds[head->consts + i];
        if (kind > AWM_KIND_FREE || (kind == AWM_KIND_FREE && !free_ok)) return AWM_ERR_HEAD;
    }
    return AWM_OK;
}

static int check_head(const uint8_t *m, const awm_head *head) {
    if (head->slot != AWM_SELF && head->slot != AWM_OTHER) return AWM_ERR_HEAD;
    if (!field_ok(head->type, head->offset, AWM_PLAYER_BYTES)) return AWM_ERR_HEAD;
    if (!value_range_ok(head->type, head->lo, head->hi)) return AWM_ERR_HEAD;
    if (head->n_classes == 0 || (uint32_t)head->row0 + head->n_classes > AWM_HEADER(m)->n_logits)
        return AWM_ERR_HEAD;
    if (head->kind == AWM_CLASS) return AWM_OK;
    return head->kind == AWM_MIX ? check_mix(m, head) : AWM_ERR_HEAD;
}

static int check_layer(const uint8_t *m, const awm_layer *l) {
    const awm_header *h = AWM_HEADER(m);
    uint64_t channels = (uint64_t)h->d_inner + 2u * h->d_state;
    int ok = norm_ok(l->gnorm_num, l->gnorm_eps, l->gnorm_shift) && shift_ok(l->conv_shift)
        && l->gain_shift <= 62 && shift_ok(l->x_shift) && shift_ok(l->y_shift)
        && in_shard(m, l->shard, l->conv_w, 4 * channels) && in_shard(m, l->shard, l->conv_b, 4 * channels)
        && in_shard(m, l->shard, l->conv_m, 4 * channels)
        && in_shard(m, l->shard, l->heads, (uint64_t)h->nheads * sizeof(awm_ssm_head))
        && l->z_lut % 2 == 0 && (uint64_t)l->z_lut + 512 <= h->len_luts
        && (uint64_t)l->conv_lut + 256 <= h->len_luts;
    return ok ? AWM_OK : AWM_ERR_LAYER;
}

/* Bytes that a matrix takes with what may be read behind it; more than any shard has if its format is not allowed. */
static uint64_t weight_bytes(const awm_header *h, const awm_op *op) {
    if (op->format == AWM_FORMAT_I8) return (uint64_t)op->rows * op->cols + AWM_WEIGHT_TAIL;
    if (op->format != AWM_FORMAT_N4 || h->format != AWM_FORMAT_N4 || op->cols > AWM_N4_MAX_COLS) return UINT64_MAX;
    return awm_n4_words(op->rows, op->cols) + awm_n4_scales(op->rows, op->cols);
}

static int check_matvec(const uint8_t *m, const awm_op *op) {
    const awm_header *h = AWM_HEADER(m);
    uint32_t inner = 2u * h->d_inner + 2u * h->d_state, first = 0, rows, cols = h->d_model;
    switch (op->out) {
    case AWM_RESIDUAL_SET: rows = h->d_model; cols = h->d_feat; break;
    case AWM_PROJ_I8: rows = inner; break;
    case AWM_PROJ_I16: first = inner; rows = h->nheads; break;
    case AWM_RESIDUAL_ADD: rows = h->d_model; cols = h->d_inner; break;
    case AWM_LOGITS: rows = h->n_logits; break;
    default: return AWM_ERR_OP;
    }
    if (op->rows == 0 || op->row0 < first || (uint32_t)op->row0 + op->rows > first + rows) return AWM_ERR_OP;
    if (op->cols != cols || !shift_ok(op->shift)) return AWM_ERR_OP;
    if (!in_shard(m, op->shard, op->weights, weight_bytes(h, op))) return AWM_ERR_OP;
    return in_shard(m, op->shard, op->params, 8u * (uint64_t)op->rows) ? AWM_OK : AWM_ERR_OP;
}

static int check_choose(const uint8_t *m, const awm_op *op) {
    const awm_header *h = AWM_HEADER(m);
    uint64_t tables = 4ull * h->n_lead * h->d_model;
    if (h->n_lead == 0 || op->row0 != 0 || op->rows != h->n_lead || op->cols != h->d_model) return AWM_ERR_OP;
    if (!shift_ok(op->shift) || op->params > INT32_MAX) return AWM_ERR_OP;
    return in_shard(m, op->shard, op->weights, tables) ? AWM_OK : AWM_ERR_OP;
}

static int check_features(const uint8_t *m) {
    const awm_feature *f = AWM_SECTION(awm_feature, m, features);
    uint32_t i, n = AWM_HEADER(m)->n_features;
    for (i = 0; i < n; i++) {
        int error = check_feature(m, f + i);
        if (error) return error;
    }
    return AWM_OK;
}

static int check_heads(const uint8_t *m) {
    const awm_head *head = AWM_SECTION(awm_head, m, heads);
    uint32_t i, n = AWM_HEADER(m)->n_heads;
    for (i = 0; i < n; i++) {
        int error = check_head(m, head + i);
        if (error) return error;
    }
    return AWM_OK;
}

static int check_op(const uint8_t *m, const awm_op *op) {
    const awm_header *h = AWM_HEADER(m);
    const awm_layer *layer = AWM_SECTION(awm_layer, m, layers) + op->layer;
    if (op->kind == AWM_FEATURES) return check_features(m);
    if (op->kind == AWM_DECODE) return check_heads(m);
    if (op->kind == AWM_MATVEC) return check_matvec(m, op);
    if (op->kind == AWM_CHOOSE) return check_choose(m, op);
    if (op->kind == AWM_NORM) {
        if (op->layer > last_norm(h)) return AWM_ERR_OP;
        return norm_ok(layer->norm_num, layer->norm_eps, layer->norm_shift) ? AWM_OK : AWM_ERR_LAYER;
    }
    if (op->kind > AWM_DECODE || op->layer >= h->n_layers) return AWM_ERR_OP;
    if (op->kind == AWM_SSM && (uint32_t)op->row0 + op->rows > h->nheads) return AWM_ERR_OP;
    return check_layer(m, layer);
}

/* ---------------------------------------------------------------- the tape as a whole */

/* Reads one matrix's ops, which must cover rows [first, first + rows) in order; returns the op after them or 0. */
static uint32_t walk_rows(const awm_op *ops, uint32_t at, uint32_t n_ops, const awm_op *want, uint32_t rows) {
    uint32_t row = want->row0;
    uint32_t end = row + rows;
    for (; row < end; at++) {
        const awm_op *op = ops + at;
        if (at >= n_ops || op->kind != want->kind || op->layer != want->layer || op->out != want->out) return 0;
        if (op->row0 != row || op->rows == 0) return 0;
        row += op->rows;
    }
    return row == end ? at : 0;
}

static uint32_t walk(const uint8_t *m, uint32_t at, uint32_t kind_out, uint32_t layer, uint32_t rows) {
    const awm_header *h = AWM_HEADER(m);
    const awm_op *ops = AWM_SECTION(awm_op, m, ops);
    awm_op want;
    if (at == 0 && kind_out != AWM_FEATURES) return 0; /* an earlier walk failed */
    want.kind = (uint8_t)(kind_out & 0xFF);
    want.out = (uint8_t)(kind_out >> 8);
    want.layer = (uint8_t)layer;
    want.row0 = (uint16_t)(want.kind == AWM_MATVEC && want.out == AWM_PROJ_I16 ? 2u * h->d_inner + 2u * h->d_state : 0);
    if (rows) return walk_rows(ops, at, h->n_ops, &want, rows);
    return at < h->n_ops && ops[at].kind == want.kind && ops[at].layer == layer ? at + 1 : 0;
}

/* The rows of the logits after the leading ones. */
static uint32_t walk_more_logits(const uint8_t *m, uint32_t at) {
    const awm_header *h = AWM_HEADER(m);
    awm_op want;
    if (at == 0) return 0;
    want.kind = AWM_MATVEC;
    want.out = AWM_LOGITS;
    want.layer = 0;
    want.row0 = (uint16_t)h->n_lead;
    return walk_rows(AWM_SECTION(awm_op, m, ops), at, h->n_ops, &want, h->n_logits - h->n_lead);
}

#define AWM_MATVEC_TO(out) (AWM_MATVEC | (out) << 8)

/* A frame reads nothing that it has not written before: ops come in the one order that quant/pack.py writes. */
static int check_tape(const uint8_t *m) {
    const awm_header *h = AWM_HEADER(m);
    uint32_t l, at = walk(m, 0, AWM_FEATURES, 0, 0);
    at = walk(m, at, AWM_MATVEC_TO(AWM_RESIDUAL_SET), 0, h->d_model);
    for (l = 0; l < h->n_layers; l++) {
        at = walk(m, at, AWM_NORM, l, 0);
        at = walk(m, at, AWM_MATVEC_TO(AWM_PROJ_I8), l, 2u * h->d_inner + 2u * h->d_state);
        at = walk(m, at, AWM_MATVEC_TO(AWM_PROJ_I16), l, h->nheads);
        at = walk(m, at, AWM_CONV, l, 0);
        at = walk(m, at, AWM_SSM, l, h->nheads);
        at = walk(m, at, AWM_GATED_NORM, l, 0);
        at = walk(m, at, AWM_MATVEC_TO(AWM_RESIDUAL_ADD), l, h->d_model);
    }
    at = walk(m, at, AWM_NORM, h->n_layers, 0);
    at = walk(m, at, AWM_MATVEC_TO(AWM_LOGITS), 0, h->n_lead ? h->n_lead : h->n_logits);
    if (h->n_lead) {
        at = walk(m, at, AWM_CHOOSE, 0, 0);
        at = walk(m, at, AWM_NORM, h->n_layers + 1u, 0);
        at = walk_more_logits(m, at);
    }
    at = walk(m, at, AWM_DECODE, 0, 0);
    return at != 0 && at == h->n_ops ? AWM_OK : AWM_ERR_TAPE;
}

static int check_segments(const uint8_t *m) {
    const awm_header *h = AWM_HEADER(m);
    const uint16_t *ends = AWM_SECTION(uint16_t, m, segments);
    uint32_t i, last = 0;
    for (i = 0; i < h->n_segments; i++) {
        if (ends[i] <= last) return AWM_ERR_SEGMENTS;
        last = ends[i];
    }
    return last == h->n_ops ? AWM_OK : AWM_ERR_SEGMENTS;
}

/* ---------------------------------------------------------------- opening */

static int check_ops(const uint8_t *m, uint32_t begin, uint32_t end) {
    const awm_op *ops = AWM_SECTION(awm_op, m, ops);
    uint32_t i;
    if (begin > end || end > AWM_HEADER(m)->n_ops) return AWM_ERR_RANGE;
    for (i = begin; i < end; i++) {
        int error = check_op(m, ops + i);
        if (error) return error;
    }
    return AWM_OK;
}

int awm_check(const uint8_t *manifest, uint64_t len) {
    int error = check_header(manifest, len);
    if (!error) error = check_sections(AWM_HEADER(manifest));
    if (!error) error = check_ops(manifest, 0, AWM_HEADER(manifest)->n_ops);
    if (!error) error = check_tape(manifest);
    if (!error) error = check_segments(manifest);
    return error;
}

static int check_files(const awm_files *files) {
    const awm_shard *table = AWM_SECTION(awm_shard, files->manifest, shards);
    uint32_t i;
    if (files->n_shards != AWM_HEADER(files->manifest)->n_shards) return AWM_ERR_SHARD_COUNT;
    for (i = 0; i < files->n_shards; i++) {
        if (!files->shards[i]) continue;
        if ((uintptr_t)files->shards[i] % 8) return AWM_ERR_ALIGNMENT;
        if (files->shard_lens[i] != table[i].length) return AWM_ERR_SHARD_LENGTH;
    }
    return AWM_OK;
}

static int op_has_shard(const awm_files *files, const awm_op *op) {
    const uint8_t *m = files->manifest;
    switch (op->kind) {
    case AWM_FEATURES: return files->shards[AWM_HEADER(m)->embed_shard] != 0;
    case AWM_MATVEC:
    case AWM_CHOOSE: return files->shards[op->shard] != 0;
    case AWM_CONV:
    case AWM_SSM: return files->shards[AWM_SECTION(awm_layer, m, layers)[op->layer].shard] != 0;
    default: return 1;
    }
}

/* Places the intermediates in the scratch. All sizes are below 2^16 * 4, so the sums fit 32 bits. */
static void place(awm_model *model, const awm_header *h) {
    uint32_t wide = h->d_inner > h->d_model ? h->d_inner : h->d_model;
    uint32_t cols = h->d_feat > wide ? h->d_feat : wide;
    uint32_t at = h->d_feat;
    model->channels = h->d_inner + 2u * h->d_state;
    model->state_view = 4 * model->channels + 2u * h->d_inner * h->d_state;
    model->state_layer = h->n_views * model->state_view;
    model->state_bytes = h->n_layers * model->state_layer;
    model->at_u = at, at += wide;
    model->at_r = at, at += 4u * h->d_model;
    model->at_p = at, at += awm_round8(2u * h->d_inner + 2u * h->d_state);
    model->at_dt = at, at += awm_round8(2u * h->nheads);
    model->at_xc = at, at += awm_round8(model->channels);
    model->at_v = at, at += 4u * h->d_inner;
    model->at_logits = at, at += awm_round8(4u * h->n_logits);
    model->view_bytes = at;
    at = 4 * cols * h->n_views;
    if (h->format == AWM_FORMAT_N4) at = (uint32_t)awm_n4_lanes(cols, h->n_views);
    model->at_acc = at, at += 4u * AWM_CHUNK * h->n_views;
    model->at_bc = at, at += 8u * h->d_state + 8;
    model->at_old = at, at += AWM_FRAME_BYTES;
    model->at_views = at;
    model->scratch_bytes = at + h->n_views * model->view_bytes;
}

int awm_open_range(awm_model *model, const awm_files *files, uint32_t begin, uint32_t end) {
    const uint8_t *m = files->manifest;
    uint32_t i;
    int error = check_header(m, files->manifest_len);
    if (!error) error = check_sections(AWM_HEADER(m));
    if (!error) error = check_files(files);
    if (!error) error = check_ops(m, begin, end);
    if (error) return error;
    for (i = begin; i < end; i++) {
        if (!op_has_shard(files, AWM_SECTION(awm_op, m, ops) + i)) return AWM_ERR_SHARD_MISSING;
    }
    model->manifest = m;
    model->shards = files->shards;
    model->first_op = begin;
    model->last_op = end;
    place(model, AWM_HEADER(m));
#ifdef AWM_PORTABLE_ONLY
    model->backend = AWM_BACKEND_SWAR;
#else
    (void)awm_set_backend(model, AWM_BACKEND_AUTO);
#endif
    return AWM_OK;
}

int awm_open(awm_model *model, const awm_files *files) {
    int error = awm_check(files->manifest, files->manifest_len);
    if (error) return error;
    return awm_open_range(model, files, 0, AWM_HEADER(files->manifest)->n_ops);
}

/* A byte above 127 shows in w; subtracting 1 from the lowest 0 byte borrows and shows there. */
static int bytes_ok(const uint8_t *w, const uint8_t *stop) {
    for (; w != stop; w += 8) {
        uint64_t v = awm_load64(w);
        if ((v | (v - 0x0101010101010101u)) & 0x8080808080808080u) return 0;
    }
    return 1;
}

/* No nibble is 0: the or of its bits, at its lowest. */
static int nibbles_ok(const uint8_t *w, const uint8_t *stop) {
    for (; w != stop; w += 8) {
        uint64_t v = awm_load64(w);
        v |= v >> 2;
        if (((v | v >> 1) & 0x1111111111111111u) != 0x1111111111111111u) return 0;
    }
    return 1;
}

/* Multipliers are not negative: their or is not. */
static int multipliers_ok(const int32_t *mul, const int32_t *stop) {
    int32_t any = 0;
    for (; mul != stop; mul++) any |= *mul;
    return any >= 0;
}

static int biases_ok(const int32_t *bias, const int32_t *stop) {
    for (; bias != stop; bias++) {
        if (*bias < AWM_LEAST_BIAS) return 0;
    }
    return 1;
}

static const int32_t *numbers(const awm_model *model, uint32_t shard, uint32_t offset) {
    return (const int32_t *)(const void *)(model->shards[shard] + offset);
}

static int matrix_ok(const awm_model *model, const awm_op *op) {
    const uint8_t *w = model->shards[op->shard] + op->weights;
    const int32_t *bias = numbers(model, op->shard, op->params), *mul = bias + op->rows;
    int ok = op->format == AWM_FORMAT_N4 ? nibbles_ok(w, w + awm_n4_words(op->rows, op->cols))
                                         : bytes_ok(w, w + (uint64_t)op->rows * op->cols);
    return ok && biases_ok(bias, mul) && multipliers_ok(mul, mul + op->rows);
}

static int taps_ok(const awm_model *model, const awm_op *op) {
    const awm_header *h = AWM_HEADER(model->manifest);
    const awm_layer *l = AWM_SECTION(awm_layer, model->manifest, layers) + op->layer;
    const int32_t *bias = numbers(model, l->shard, l->conv_b);
    return biases_ok(bias, bias + h->d_inner + 2u * h->d_state);
}

int awm_check_weights(const awm_model *model, uint32_t begin, uint32_t end) {
    const awm_op *ops = AWM_SECTION(awm_op, model->manifest, ops);
    uint32_t i;
    if (begin < model->first_op || begin > end || end > model->last_op) return AWM_ERR_RANGE;
    for (i = begin; i < end; i++) {
        const awm_op *op = ops + i;
        if (op->kind == AWM_MATVEC && !matrix_ok(model, op)) return AWM_ERR_WEIGHT;
        if (op->kind == AWM_CONV && !taps_ok(model, op)) return AWM_ERR_WEIGHT;
    }
    return AWM_OK;
}

uint32_t awm_n_ops(const awm_model *model) {
    return AWM_HEADER(model->manifest)->n_ops;
}

uint32_t awm_state_bytes(const awm_model *model) {
    return model->state_bytes;
}

uint32_t awm_scratch_bytes(const awm_model *model) {
    return model->scratch_bytes;
}
