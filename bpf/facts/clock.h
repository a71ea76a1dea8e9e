/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The wall clock, and -m time, as net/netfilter/xt_time.c.
 *
 * Programs may read the clock of TAI (bpf_ktime_get_tai_ns()), whose distance to UTC may change at any
 * time. The kernel keeps both clocks' distances to the monotonic one with the timers of each processor, and
 * renews them before whoever sets a clock goes on (clock_was_set(), kernel/time/hrtimer.c). Every task has a
 * timer, which knows its processor. */
#ifndef BPFTABLES_CLOCK_H
#define BPFTABLES_CLOCK_H

#include "facts/facts.h"
#include "facts/world.h"

struct time_config {
	u32 date_start;
	u32 date_stop;
	u32 day_start;
	u32 day_stop;
	u32 monthdays; /* bits */
	u32 weekdays;
	u32 contiguous;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct time_config);
} time_configs SEC(".maps");

#define SECOND 1000000000ULL
#define DAY 86400

#ifdef BPFTABLES_PROBE

static __always_inline s64 wall_seconds(void)
{
	struct given *g = given_facts();

	return g ? g->clock : 0;
}

#else

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

enum hrtimer_base_type {
	HRTIMER_BASE_REALTIME,
	HRTIMER_BASE_TAI,
};

struct hrtimer_cpu_base;

struct hrtimer_clock_base {
	struct hrtimer_cpu_base *cpu_base;
	s64 offset;
};

struct hrtimer_cpu_base {
	struct hrtimer_clock_base clock_base[1];
};

struct hrtimer {
	struct hrtimer_clock_base *base;
};

struct sched_dl_entity {
	struct hrtimer dl_timer;
};

struct task_struct {
	struct sched_dl_entity dl;
};

#pragma clang attribute pop

/* clock_ahead is how far a clock is ahead of the monotonic one. */
static __always_inline u64 clock_ahead(ulong cpu_base, u32 which)
{
	return load8(cpu_base + bpf_core_field_offset(struct hrtimer_cpu_base, clock_base) +
		     which * bpf_core_type_size(struct hrtimer_clock_base) +
		     bpf_core_field_offset(struct hrtimer_clock_base, offset));
}

/* wall_seconds is ktime_get_real_seconds(), but that it does not wait for the next tick. */
static __always_inline s64 wall_seconds(void)
{
	struct task_struct *task = cast_to(struct task_struct, bpf_get_current_task());
	ulong base = (ulong)task->dl.dl_timer.base->cpu_base;
	u64 ahead;

	ahead = clock_ahead(base, bpf_core_enum_value(enum hrtimer_base_type, HRTIMER_BASE_TAI)) -
		clock_ahead(base, bpf_core_enum_value(enum hrtimer_base_type, HRTIMER_BASE_REALTIME));
	return (bpf_ktime_get_tai_ns() - ahead) / SECOND;
}

#endif

/* month_day is localtime_3(), by the rules of the calendar: the kernel's table ends with 2039, and takes
 * what follows for days of that year. */
static __always_inline u32 month_day(u32 days)
{
	u32 since = days + 365, year, day, leap, late = 0, month;

	year = (4ULL * since + 3) / 1461; /* since 1969 */
	if (year > 2039 - 1969)
		year = 2039 - 1969;
	day = since - (365 * year + year / 4);
	leap = (year + 1) % 4 == 0;
	if (day >= 59 + leap)
		late = 2 - leap;
	month = (12 * (day + late) + 373) / 367;
	if (month > 12)
		month = 12;
	return day + late - (367 * month - 362) / 12 + 1;
}

/* in_time is time_mt(). */
__noinline int in_time(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct time_config *c = bpf_map_lookup_elem(&time_configs, &slot);
	u64 now = wall_seconds();
	u32 today, days;

	takes(ctx);
	if (!f || !c)
		return A_HOTDROP;
	if (now < c->date_start || now > c->date_stop)
		return A_NO;
	today = now % DAY;
	if (c->day_start < c->day_stop) {
		if (today < c->day_start || today > c->day_stop)
			return A_NO;
	} else {
		if (today < c->day_start && today > c->day_stop)
			return A_NO;
		if (c->contiguous && today <= c->day_stop)
			now -= DAY;
	}
	days = now / DAY;
	if (!(c->weekdays >> ((days + 3) % 7 + 1) & 1))
		return A_NO;
	return c->monthdays >> (month_day(days) & 31) & 1;
}

#endif
