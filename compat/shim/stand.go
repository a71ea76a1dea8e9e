package shim

import (
	"slices"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// standsAt says whether an effect can stand at a hook: the kernel looks at all that a base
// chain reaches (nft_nat_validate(), nft_masq_validate(), nft_redir_validate(),
// nft_tproxy_validate(); xt_check_target(), net/netfilter/x_tables.c), and what iptables refuses
// elsewhere no packet meets there.
func standsAt(e pred.Effect, h packet.Hook) bool {
	routed := h == packet.Forward || h == packet.Output || h == packet.Postrouting
	switch e := e.(type) {
	case pred.NAT:
		return translatesAt(e, h)
	case pred.Reject: // nft_reject_validate(), net/netfilter/nft_reject.c
		return h != packet.Postrouting
	case pred.TProxy:
		return h == packet.Prerouting
	case pred.SynProxy: // synproxy_tg4_reg, net/ipv4/netfilter/ipt_SYNPROXY.c
		return h == packet.Input || h == packet.Forward
	case pred.NPT: // ip6t_npt_target_reg, net/ipv6/netfilter/ip6t_NPT.c
		return e.Destination == (h == packet.Prerouting || h == packet.Output) && h != packet.Forward
	case pred.ChangeKernelSet: // set_target_v3_checkentry(), net/netfilter/xt_set.c
		return routed || !e.MapPriority && !e.MapQueue
	case pred.SetPriority: // classify_tg_reg, net/netfilter/xt_CLASSIFY.c
		return routed
	case pred.SetMSS: // tcpmss_tg4_check(), net/netfilter/xt_TCPMSS.c
		return routed || !e.ToPathMTU
	}
	return true
}

// parted says whether some action of a table cannot stand at one of its hooks: then each hook
// has chains of its own.
func parted(t *plan.Table) bool {
	return slices.ContainsFunc(t.Hooks, func(h *plan.Hook) bool {
		return h.Shim && slices.ContainsFunc(t.Actions, func(a plan.Action) bool { return !standsAt(a.Effect, h.Hook) })
	})
}

// actionsAt are those of a table that can stand at a hook.
func actionsAt(t *plan.Table, h packet.Hook) (out []action) {
	for n, a := range t.Actions {
		if standsAt(a.Effect, h) {
			out = append(out, action{n})
		}
	}
	return out
}
