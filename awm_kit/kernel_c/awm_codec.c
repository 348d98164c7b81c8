/* awm_codec.c: frame and controllers to features, logits to the next frame. All game knowledge is in tables. */
#include "awm_ops.h"

enum { AT_FRAME = 0, AT_STATUS = 5, AT_TIME_LIMIT = 8 }; /* fields of the frame record that every schema has */

/* Offsets were checked to be multiples of the type's size, and records are aligned to 4 or 8. */
static int64_t load(const uint8_t *p, uint32_t type) {
    switch (type) {
    case AWM_I8: return *(const int8_t *)p;
    case AWM_U8: return *p;
    case AWM_I16: return *(const int16_t *)(const void *)p;
    case AWM_U16: return *(const uint16_t *)(const void *)p;
    case AWM_I32: return *(const int32_t *)(const void *)p;
    default: return *(const uint32_t *)(const void *)p;
    }
}

static void store(uint8_t *p, uint32_t type, int64_t value) {
    switch (type >> 1) {
    case 0: *p = (uint8_t)value; break;
    case 1: *(uint16_t *)(void *)p = (uint16_t)value; break;
    default: *(uint32_t *)(void *)p = (uint32_t)value; break;
    }
}

static uint32_t player_at(uint32_t view, uint32_t slot) {
    uint32_t player = slot == AWM_SELF || slot == AWM_INPUT ? view : 1 - view;
    return AWM_GLOBAL_BYTES + AWM_PLAYER_BYTES * player;
}

/* ---------------------------------------------------------------- encode */

/* |value| < 2^32 before, < 2^32.6 less the bias, <= 2^31 after the clamp; times a 32-bit multiplier: at most 2^62. */
static int8_t linear(const awm_feature *f, int64_t value) {
    value -= f->bias;
    if (value > INT32_MAX) value = INT32_MAX;
    if (value < INT32_MIN) value = INT32_MIN;
    return (int8_t)awm_clamp(awm_rounded_shift(value * f->mul, f->shift), 127);
}

/* What a view sees: the record of each slot, and that of the player of the slot's side. */
typedef struct sight {
    const uint8_t *record[5], *player[5];
} sight;

static void look(sight *s, const awm_match *match, uint32_t view) {
    uint32_t slot;
    for (slot = AWM_SELF; slot <= AWM_OTHER_INPUT; slot++) {
        s->record[slot] = s->player[slot] = match->frame + player_at(view, slot);
    }
    s->record[AWM_GLOBAL] = match->frame;
    s->record[AWM_INPUT] = match->inputs + AWM_CONTROLLER_BYTES * view;
    s->record[AWM_OTHER_INPUT] = match->inputs + AWM_CONTROLLER_BYTES * (1 - view);
}

static int64_t field(const sight *s, const awm_feature *f, uint32_t slot) {
    return load(s->record[slot] + f->offset, f->type);
}

void awm_encode(const awm_model *model, const awm_match *match, uint32_t view, int8_t *f) {
    const awm_header *h = AWM_HEADER(model->manifest);
    const awm_feature *feature = AWM_SECTION(awm_feature, model->manifest, features), *end = feature + h->n_features;
    const int8_t *embed = (const int8_t *)model->shards[h->embed_shard];
    sight seen;
    uint32_t i, k, width;
    look(&seen, match, view);
    for (i = 0; i < h->d_feat; i += 8) *(uint64_t *)(void *)(f + i) = 0;
    for (; feature != end; feature++) {
        int64_t value = field(&seen, feature, feature->slot);
        int8_t *out = f + feature->out;
        width = feature->width;
        if (feature->mode == AWM_LINEAR) {
            if (feature->minus_slot != AWM_NO_SLOT) value -= field(&seen, feature, feature->minus_slot);
            if (feature->operand && (int8_t)seen.player[feature->slot][feature->operand - 1] < 0) value = -value;
            *out = linear(feature, value);
        } else if (feature->mode == AWM_TABLE) {
            uint64_t row = value < 0 ? 0 : value < feature->rows ? (uint64_t)value : feature->rows - 1u;
            const int8_t *from = embed + feature->table + row * width;
            for (k = 0; k < width; k++) out[k] = from[k];
        } else {
            uint64_t bits = (uint64_t)value >> feature->operand;
            for (k = 0; k < width; k++, bits >>= 1) out[k] = (int8_t)(bits & 1 ? feature->mul : 0);
        }
    }
}

/* ---------------------------------------------------------------- decode */

uint32_t awm_argmax(const int32_t *logits, uint32_t n) {
    const int32_t *p = logits, *best = logits, *end = logits + n;
    int64_t most = *p;
    while (++p != end) {
        if (*p > most) {
            most = *p;
            best = p;
        }
    }
    return (uint32_t)(best - logits);
}

/* The regressed change: x (1 + |x|) of a Q12 logit. |d| <= 2^19, |free_mul| <= 2^31. */
static int64_t free_change(const awm_head *head, int64_t logit) {
    int64_t x = awm_clamp(logit, 32768);
    int64_t d = (x * (4096 + (x < 0 ? -x : x))) >> 12;
    int64_t change = awm_rounded_shift(d * head->free_mul, head->free_shift);
    return change > head->free_hi ? head->free_hi : change < head->free_lo ? head->free_lo : change;
}

/* What a MIX head's class means; the base is the old value advanced by declared arithmetic. */
static int64_t mix(const uint8_t *manifest, const awm_head *head, uint32_t class_, const uint8_t *old,
                   const uint8_t *player) {
    int32_t c = AWM_SECTION(int32_t, manifest, consts)[head->consts + class_];
    int64_t before = load(old + head->offset, head->type), base = before + head->step;
    uint32_t i;
    for (i = 0; i < head->n_velocities; i++) base += load(player + head->velocity[i], AWM_I16);
    switch (AWM_SECTION(uint8_t, manifest, kinds)[head->consts + class_]) {
    case AWM_KIND_OLD: return before + c;
    case AWM_KIND_BASE: return base + c;
    case AWM_KIND_SET: return c;
    default: return base;
    }
}

static void decode_head(const awm_model *model, const awm_match *match, const awm_head *head, uint32_t view) {
    const uint8_t *m = model->manifest;
    const int32_t *logits = awm_logits(model, match->scratch, view);
    const uint8_t *old = match->scratch + model->at_old + player_at(view, head->slot);
    uint8_t *player = match->frame + player_at(view, head->slot);
    uint32_t class_ = awm_argmax(logits + head->row0, head->n_classes);
    int64_t value = class_;
    if (head->kind == AWM_MIX) {
        value = mix(m, head, class_, old, player);
        if (AWM_SECTION(uint8_t, m, kinds)[head->consts + class_] == AWM_KIND_FREE)
            value += free_change(head, logits[head->free_row]);
    }
    value = value > head->hi ? head->hi : value < head->lo ? head->lo : value;
    store(player + head->offset, head->type, value);
}

/* 1 if a player's end field says so, else 2 at the time limit, else 0. */
static uint8_t judge(const awm_header *h, const uint8_t *frame, uint32_t number) {
    uint32_t limit = (uint32_t)load(frame + AT_TIME_LIMIT, AWM_U32);
    if (h->end_type != AWM_NO_END) {
        const uint8_t *end = frame + AWM_GLOBAL_BYTES + h->end_offset;
        if (load(end, h->end_type) <= h->end_value || load(end + AWM_PLAYER_BYTES, h->end_type) <= h->end_value)
            return 1;
    }
    return limit != 0 && number >= limit ? 2 : 0;
}

void awm_decode(const awm_model *model, const awm_match *match) {
    const awm_header *h = AWM_HEADER(model->manifest);
    const awm_head *heads = AWM_SECTION(awm_head, model->manifest, heads);
    uint64_t *old = (uint64_t *)(void *)(match->scratch + model->at_old);
    const uint64_t *now = (const uint64_t *)(const void *)match->frame;
    uint32_t i, view, number;
    for (i = 0; i < AWM_FRAME_BYTES / 8; i++) old[i] = now[i];
    for (view = 0; view < h->n_views; view++) {
        for (i = 0; i < h->n_heads; i++) decode_head(model, match, heads + i, view);
    }
    number = (uint32_t)load(match->frame + AT_FRAME, AWM_U32) + 1u;
    store(match->frame + AT_FRAME, AWM_U32, number);
    match->frame[AT_STATUS] = judge(h, match->frame, number);
}
