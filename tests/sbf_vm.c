/* sbf_vm.c: SBPF v0 as the Solana VM defines it, slowly, for tests and counts: how often each instruction was executed.
 *
 * The loader's work (relocations, numbers for system calls) is sbf_vm.py's. Memory is four regions, by the upper half of an
 * address: the program's image, the stack of 4 KB frames with gaps of as much between them, the heap, the parameters. */
#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t op;
    uint8_t to : 4, from : 4;
    int16_t offset;
    int32_t imm;
} instruction;

typedef struct {
    uint8_t *at;
    uint64_t len;
} region;

typedef struct {
    region regions[5]; /* the first one is not used */
    uint64_t first, n; /* the text: offset in the image, instructions */
    uint64_t entry;    /* as a number of an instruction */
    uint64_t *executed;
    uint64_t result, units;
    int (*call)(uint32_t number, const uint64_t *arguments); /* system calls but for these, and their units */
} machine;

enum { MATMUL = 1, MEMSET, MEMCPY, OTHERS };
enum { FRAME = 4096, DEPTH = 64, SYSCALL_UNITS = 100, MEMORY_UNITS = 10, BYTES_A_UNIT = 250 };
enum { OK, BAD_ADDRESS, BAD_TEXT, BAD_DIVISION, TOO_DEEP, BAD_CALL };

uint8_t *sbf_vm_memory(const machine *m, uint64_t address, uint64_t n) {
    uint64_t r = address >> 32, at = address & 0xFFFFFFFF;
    if (r == 2) {
        if (at / FRAME % 2) return 0;
        at = at / (2 * FRAME) * FRAME + at % FRAME;
    }
    return r >= 1 && r <= 4 && at + n <= m->regions[r].len ? m->regions[r].at + at : 0;
}

static int multiply(const machine *m, const uint64_t *r) {
    const int8_t *w = (const int8_t *)sbf_vm_memory(m, r[1], r[4] * r[5]);
    const int8_t *x = (const int8_t *)sbf_vm_memory(m, r[2], r[5]);
    uint8_t *out = sbf_vm_memory(m, r[3], 4 * r[4]);
    if (!w || !x || !out) return BAD_ADDRESS;
    for (uint64_t row = 0; row < r[4]; row++, w += r[5], out += 4) {
        int32_t sum = 0;
        for (uint64_t k = 0; k < r[5]; k++) sum += w[k] * x[k];
        memcpy(out, &sum, 4);
    }
    return OK;
}

static int system_call(machine *m, uint32_t number, uint64_t *r) {
    uint8_t *to;
    const uint8_t *from;
    if (number == MATMUL) {
        m->units += SYSCALL_UNITS + r[4] * r[5];
        return multiply(m, r);
    }
    if (number == MEMSET || number == MEMCPY) {
        m->units += r[3] / BYTES_A_UNIT > MEMORY_UNITS ? r[3] / BYTES_A_UNIT : MEMORY_UNITS;
        to = sbf_vm_memory(m, r[1], r[3]);
        from = number == MEMCPY ? sbf_vm_memory(m, r[2], r[3]) : to;
        if (!to || !from) return BAD_ADDRESS;
        if (number == MEMSET) memset(to, (int)r[2], r[3]);
        else memcpy(to, from, r[3]);
        return OK;
    }
    m->units += SYSCALL_UNITS;
    return m->call(number, r + 1) ? BAD_CALL : OK;
}

/* 64-bit operations; those of 32 bits make their operands and results of these. */
static int compute(uint8_t code, uint64_t *to, uint64_t by, int wide) {
    const uint32_t mask = wide ? 63 : 31;
    uint64_t v = wide ? *to : (uint32_t)*to;
    switch (code) {
    case 0x0: v += by; break;
    case 0x1: v -= by; break;
    case 0x2: v *= by; break;
    case 0x4: v |= by; break;
    case 0x5: v &= by; break;
    case 0x6: v <<= by & mask; break;
    case 0x7: v >>= by & mask; break;
    case 0x8: v = -v; break;
    case 0xA: v ^= by; break;
    case 0xB: v = by; break;
    case 0xC: v = wide ? (uint64_t)((int64_t)v >> (by & mask)) : (uint32_t)((int32_t)v >> (by & mask)); break;
    case 0x3:
    case 0x9:
        if (!by) return BAD_DIVISION;
        v = code == 0x3 ? v / by : v % by;
        break;
    default: return BAD_TEXT;
    }
    /* SBPF v0: sums, differences and products of 32 bits have their sign extended, all else has zeros above. */
    *to = wide ? v : code <= 0x2 ? (uint64_t)(int64_t)(int32_t)v : (uint32_t)v;
    return OK;
}

static int jumps(uint8_t code, uint64_t a, uint64_t b) {
    switch (code) {
    case 0x0: return 1;
    case 0x1: return a == b;
    case 0x2: return a > b;
    case 0x3: return a >= b;
    case 0x4: return (a & b) != 0;
    case 0x5: return a != b;
    case 0x6: return (int64_t)a > (int64_t)b;
    case 0x7: return (int64_t)a >= (int64_t)b;
    case 0xA: return a < b;
    case 0xB: return a <= b;
    case 0xC: return (int64_t)a < (int64_t)b;
    default: return (int64_t)a <= (int64_t)b;
    }
}

static uint64_t reversed(uint64_t v, int32_t bits) {
    return bits == 16 ? __builtin_bswap16((uint16_t)v) : bits == 32 ? __builtin_bswap32((uint32_t)v) : __builtin_bswap64(v);
}

int sbf_vm_run(machine *m) {
    static const uint8_t SIZES[4] = {4, 2, 1, 8};
    const instruction *text = (const instruction *)(const void *)(m->regions[1].at + m->first);
    struct {
        uint64_t saved[5], next; /* r6 to r10 */
    } calls[DEPTH];
    uint64_t r[11] = {0}, next = m->entry;
    uint32_t depth = 0;
    int error = OK;
    r[1] = (uint64_t)4 << 32;
    r[10] = ((uint64_t)2 << 32) + FRAME;
    for (; !error;) {
        if (next >= m->n) return BAD_TEXT;
        const instruction i = text[next];
        const uint8_t kind = i.op & 7, code = i.op >> 4;
        const uint64_t constant = (uint64_t)(int64_t)i.imm;
        m->executed[next++]++;
        m->units++;
        if (i.op == 0x18) { /* lddw */
            r[i.to] = (uint32_t)i.imm | (uint64_t)(uint32_t)text[next++].imm << 32;
        } else if (i.op == 0xDC) {
            r[i.to] = reversed(r[i.to], i.imm);
        } else if (kind == 4 || kind == 7) {
            const uint64_t by = i.op & 8 ? r[i.from] : constant;
            error = compute(code, r + i.to, kind == 7 ? by : (uint32_t)by, kind == 7);
        } else if (kind <= 3) {
            const uint64_t size = SIZES[i.op >> 3 & 3], value = kind == 3 ? r[i.from] : constant;
            uint8_t *at = sbf_vm_memory(m, r[kind == 1 ? i.from : i.to] + (uint64_t)(int64_t)i.offset, size);
            if (!at) return BAD_ADDRESS;
            if (kind == 1) {
                r[i.to] = 0;
                memcpy(r + i.to, at, size);
            } else {
                memcpy(at, &value, size);
            }
        } else if (i.op == 0x85 && !i.from) {
            error = system_call(m, (uint32_t)i.imm, r);
            r[0] = 0;
        } else if (i.op == 0x85) {
            if (depth == DEPTH - 1) return TOO_DEEP;
            memcpy(calls[depth].saved, r + 6, sizeof calls[depth].saved);
            calls[depth++].next = next;
            r[10] += 2 * FRAME;
            next += constant;
        } else if (i.op == 0x95) {
            m->result = r[0];
            if (!depth) return OK;
            memcpy(r + 6, calls[--depth].saved, sizeof calls[depth].saved);
            next = calls[depth].next;
        } else if (kind == 5) {
            if (jumps(code, r[i.to], i.op & 8 ? r[i.from] : constant)) next += (uint64_t)(int64_t)i.offset;
        } else {
            return BAD_TEXT;
        }
    }
    return error;
}
