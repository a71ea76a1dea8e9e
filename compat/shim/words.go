package shim

import (
	"fmt"
	"strconv"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/ruleset/target"
)

// Words are an effect as iptables takes it behind -j. It panics for one that Can says
// never to run: its table is not ours.
func Words(family packet.Family, e pred.Effect) []string {
	t := target.Of(family, e)
	if t == nil {
		panic(fmt.Sprintf("shim: iptables has no words for the effect %s", e))
	}
	return ruleset.ExactArgsOf(t)
}

// guard are the options that a rule with the effect must have itself, as the kernel looks
// for them when the rule is loaded: TCP for a reset (reject_tg_check(),
// net/ipv4/netfilter/ipt_REJECT.c), the protocol of a helper or timeout
// (xt_ct_find_proto(), net/netfilter/xt_CT.c).
func guard(e pred.Effect) []string {
	switch e := e.(type) {
	case pred.Reject:
		if e.Reset {
			return []string{"-p", "tcp"}
		}
	case pred.StripTCPOptions, pred.SetECN: // tcpoptstrip_tg_reg, net/netfilter/xt_TCPOPTSTRIP.c; ecn_tg_check(), net/ipv4/netfilter/ipt_ECN.c
		if pred.Demands(e) != pred.DemandsNothing {
			return []string{"-p", "tcp"}
		}
	case pred.SynProxy: // synproxy_tg4_check(), net/ipv4/netfilter/ipt_SYNPROXY.c
		return []string{"-p", "tcp"}
	case pred.SetMSS: // tcpmss_tg4_check(), net/netfilter/xt_TCPMSS.c
		return []string{"-p", "tcp", "-m", "tcp", "--tcp-flags", "SYN", "SYN"}
	case pred.TProxy: // tproxy_tg4_check(), net/netfilter/xt_TPROXY.c
		return []string{"-p", strconv.Itoa(int(e.Proto))}
	case pred.Track:
		if e.Proto != 0 {
			return []string{"-p", strconv.Itoa(int(e.Proto))}
		}
	}
	return nil
}
