// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tells which netfilter links there are, in all network namespaces: an iterator over the
 * links of the kernel. What a link says of itself (bpf_nf_link_fill_link_info(),
 * net/netfilter/nf_bpf_link.c) leaves out the namespace, and stays the same when the link
 * was detached. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	atomic_t refs;
} refcount_t;

/* The counter of users is called count up to Linux 6.17. */
struct ns_common {
	refcount_t __ns_ref;
	unsigned int inum;
};

struct ns_common___count {
	refcount_t count;
};

struct net {
	struct ns_common ns;
	u64 net_cookie;
};

struct bpf_prog_aux {
	u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

enum bpf_link_type___any {
	LINK_UNSPEC,
};

struct bpf_link {
	u32 id;
	enum bpf_link_type___any type;
	struct bpf_prog *prog;
};

struct nf_hook_ops {
	u8 pf;
	unsigned int hooknum;
	int priority;
};

struct bpf_nf_link {
	struct bpf_link link;
	struct nf_hook_ops hook_ops;
	struct net *net;
	u32 dead;
};

#define LINK_NETFILTER 10 /* BPF_LINK_TYPE_NETFILTER, since Linux 6.4 */

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};

#pragma clang attribute pop

struct nf_link {
	u64 cookie;	/* of the network namespace */
	u32 inum;
	u32 users;	/* of the namespace; 0: not known */
	u32 link;
	u32 prog;
	u32 hook;
	s32 priority;
	u32 family;
	u32 pad;
};

static inline u32 users_of(struct net *net)
{
	struct ns_common *ns = &net->ns;

	if (bpf_core_field_exists(ns->__ns_ref))
		return BPF_CORE_READ(ns, __ns_ref.refs.counter);
	if (bpf_core_field_exists(((struct ns_common___count *)ns)->count))
		return BPF_CORE_READ((struct ns_common___count *)ns, count.refs.counter);
	return 0;
}

SEC("iter/bpf_link")
int nf_links(struct bpf_iter__bpf_link *ctx)
{
	struct nf_link out = {};
	struct bpf_nf_link *l = (void *)ctx->link;
	struct net *net;

	if (!l || BPF_CORE_READ(l, link.type) != LINK_NETFILTER)
		return 0;
	/* One that was detached does not hold its namespace any more. */
	if (BPF_CORE_READ(l, dead))
		return 0;
	net = BPF_CORE_READ(l, net);
	out.cookie = BPF_CORE_READ(net, net_cookie);
	out.inum = BPF_CORE_READ(net, ns.inum);
	out.users = users_of(net);
	out.link = BPF_CORE_READ(l, link.id);
	out.prog = BPF_CORE_READ(l, link.prog, aux, id);
	out.hook = BPF_CORE_READ(l, hook_ops.hooknum);
	out.priority = BPF_CORE_READ(l, hook_ops.priority);
	out.family = BPF_CORE_READ(l, hook_ops.pf);
	bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
	return 0;
}

/* Keeps the type for Go. */
struct nf_link nf_link_type __attribute__((unused));

char _license[] SEC("license") = "Dual BSD/GPL";
