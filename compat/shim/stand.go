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

// Stands says at which hooks an effect can stand, as bits 1 << packet.Hook.
func Stands(e pred.Effect) (hooks uint8) {
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		if standsAt(e, h) {
			hooks |= 1 << h
		}
	}
	return hooks
}

// AllStand gives that of the actions of a table, by their numbers.
func AllStand(t *plan.Table) []byte {
	out := make([]byte, len(t.Actions))
	for i, a := range t.Actions {
		out[i] = Stands(a.Effect)
	}
	return out
}

// parted says whether some action cannot stand at one of a table's hooks: then each hook
// has chains of its own.
func parted(t *plan.Table, stands []byte) bool {
	return slices.ContainsFunc(t.Hooks, func(h *plan.Hook) bool {
		return h.Shim && slices.ContainsFunc(stands, func(hooks byte) bool { return hooks>>h.Hook&1 == 0 })
	})
}

// actionsAt are those that can stand at a hook.
func actionsAt(stands []byte, h packet.Hook) (out []action) {
	for n, hooks := range stands {
		if hooks>>h&1 == 1 {
			out = append(out, action{n})
		}
	}
	return out
}
