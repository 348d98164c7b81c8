/* What the loops in assembly of the build with the system call share. */
#ifndef SYSCALL_LOOPS_H
#define SYSCALL_LOOPS_H

#include <stdint.h>

#define LOAD(to, at) #to " = *(u64 *)(" at ")\n"
#define STORE(at, from) "*(u64 *)(" at ") = " #from "\n"

/*
 * A shift looks at six bits of its amount: what a loop needs once a turn lies above them and costs no load. UNTIL_END goes
 * back to the turn's beginning unless r1 is where the register with the amount says; `free` is spoilt.
 */
#define ABOVE_SHIFT(to, amount) #to " = " #amount "\n" #to " >>= 6\n"
#define UNTIL_END(amount, free) ABOVE_SHIFT(free, amount) "if r1 != " #free " goto 1b\n"

static inline uint64_t shift_and(uint32_t shift, const void *above)
{
    return shift | (uint64_t)above << 6;
}

#endif
