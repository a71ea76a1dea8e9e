/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Loops that the verifier walks once, or a few times, and not once for each turn. */
#ifndef BPFTABLES_LOOP_H
#define BPFTABLES_LOOP_H

#include "facts/kernel.h"

/* may_break ends the loop around it when the kernel's budget for loops is used up (Linux
 * 6.9, JCOND of kernel/bpf/verifier.c); compilers do not know the instruction. */
#define may_break                                                                           \
	({                                                                                  \
		__label__ out, on;                                                          \
		asm volatile goto("1: .byte 0xe5; .byte 0;"                                 \
				  ".long ((%l[out] - 1b - 8) / 8) & 0xffff; .short 0"       \
				  : : : : out);                                             \
		goto on;                                                                    \
	out:                                                                                \
		break;                                                                      \
	on:;                                                                                \
	})

/* The kernel has may_break. */
const volatile u32 loops;

/* may_turn ends the loop around it after a number of turns where the kernel has no may_break, and
 * counts them. With it the count is not looked at: the verifier would tell the turns apart. */
#define may_turn(turn, most)                                                                \
	({                                                                                  \
		if (loops)                                                                  \
			may_break;                                                          \
		else if ((turn)++ >= (most))                                                \
			break;                                                              \
	})

#endif
