// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Changes a list of -m recent for somebody who writes to it, as recent_mt_proc_write() does
 * (net/netfilter/xt_recent.c). It is run once for each change: packets use the list at the same
 * time, and only a program can take the list's lock and read the kernel's clock. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

/* What is to be done. */
enum recent_edits { EDIT_ADD = 1, EDIT_REMOVE, EDIT_FLUSH };
const volatile enum recent_edits edit;
const volatile u32 family; /* 4 or 6 */
const volatile u32 address[4]; /* as in a packet */

#include "memory/recent_list.h"

static __always_inline void recent_flush(struct recent_list *l)
{
	u32 i;

	for (i = 0; i < RECENT_TOTAL; i++)
		l->entries[i].touched = 0;
}

static __always_inline void recent_edit(struct recent_list *l, struct recent_ask *a)
{
	u32 i;

	recent_find(l, a);
	i = recent_index(l->found);
	if (i == RECENT_NONE) {
		if (edit == EDIT_ADD)
			recent_add(l, a);
		return;
	}
	if (edit == EDIT_REMOVE) {
		l->entries[i].touched = 0;
		return;
	}
	a->ttl = l->entries[i].ttl; /* it stays */
	recent_touch(l, i, a);
}

SEC("tc")
int recent_write(struct __sk_buff *skb)
{
	struct recent_ask a = {};
	struct recent_list *l;
	u32 zero = 0;

	a.addr[0] = address[0];
	a.addr[1] = address[1];
	a.addr[2] = address[2];
	a.addr[3] = address[3];
	a.now = bpf_jiffies64();
	l = bpf_map_lookup_elem(&recent_list, &zero);
	if (!l)
		return 0;
	bpf_spin_lock(&l->lock);
	if (edit == EDIT_FLUSH)
		recent_flush(l);
	else
		recent_edit(l, &a);
	bpf_spin_unlock(&l->lock);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
