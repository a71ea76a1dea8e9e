package codegen

import (
	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// needOf are the needs of the datapath for what predicates read.
var needOf = []struct {
	reads pred.Reads
	need  uint32
}{
	{pred.ReadsL4, abi.NeedL4}, {pred.ReadsWide, abi.NeedWide}, {pred.ReadsCt, abi.NeedCt},
	{pred.ReadsCtMark, abi.NeedCtMark}, {pred.ReadsCtNAT, abi.NeedCtNAT},
	{pred.ReadsIn, abi.NeedIif}, {pred.ReadsOut, abi.NeedOif}, {pred.ReadsMAC, abi.NeedMac},
}

// need records which groups of facts are read, so that the datapath fills only those.
func (g *generator) need(r pred.Reads) {
	for _, n := range needOf {
		if r&n.reads != 0 {
			g.needs |= n.need
		}
	}
}

// tracked is what is needed, with the proof that conntrack is on where the plan has rules
// that keep it on: without it a packet that belongs to a connection would look INVALID.
func (g *generator) tracked(p *plan.Plan) uint32 {
	if p.Conntrack && g.needs&abi.NeedCt != 0 {
		return g.needs | abi.NeedTracked
	}
	return g.needs
}

// needClasses asks for what any classified chain may read, and for the ports and the
// protocol, by which all are looked up.
func (g *generator) needClasses(classes []*plan.Class) {
	g.needs |= abi.NeedL4
	for _, c := range classes {
		if c.Shadow {
			continue
		}
		g.need(c.Reads)
		for _, r := range c.Rules {
			g.needRule(r)
		}
	}
}

func (g *generator) needRule(r *plan.Rule) {
	for _, p := range r.Conds {
		g.need(pred.ReadsOf(g.family, p))
	}
	g.need(r.Action.Reads(g.family))
}

// Needs is what a rule in a classified chain asks of the facts (abi.Need*). Names of
// interfaces need not be there.
func Needs(family packet.Family, r *plan.Rule) uint32 {
	g := &generator{family: family}
	g.needRule(r)
	return g.needs &^ (abi.NeedIif | abi.NeedOif)
}
