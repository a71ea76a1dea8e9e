package shim

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
)

// Can is the answer of this datapath to which effects it runs. The programs change named
// sets; netfilter, told by them, runs effects that leave the packet as later rules ask about
// it, or change it in a way that the programs can foretell.
func Can(e pred.Effect, hooks uint8) (translate.How, string) {
	if _, is := e.(pred.SetUpdate); is {
		return translate.Own, ""
	}
	if why := unfit(e, hooks); why != "" {
		return translate.Never, why
	}
	return translate.Told, ""
}

// unfit says why netfilter has to run the whole table with an effect.
func unfit(e pred.Effect, hooks uint8) string {
	switch e := e.(type) {
	case pred.NAT:
		return untranslatable(e)
	case pred.Dup:
		// The copy passes OUTPUT while the packet itself stands still.
		if hooks&(1<<packet.Output) != 0 {
			return "at OUTPUT it sends a packet through the same hook (nf_dup_ipv4(), net/ipv4/netfilter/nf_dup_ipv4.c)"
		}
	case pred.Opaque:
		if e.Marks {
			return ""
		}
		return "what it does is known by its name alone"
	}
	return ""
}
