package codegen

import (
	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// need records which groups of facts a predicate reads, so that the datapath
// fills only those.
func (g *generator) need(p pred.Pred) {
	switch p := p.(type) {
	case pred.Cmp:
		switch of := p.Of.(type) {
		case pred.Field:
			g.needField(of)
		case pred.Load:
			g.needBase(of.Base)
			if of.Base == pred.BaseL4 && int(of.Off)+int(of.Width) > l4Narrow {
				g.needs |= abi.NeedWide
			}
		}
	case pred.Have:
		g.needBase(p.Base)
	case pred.Name:
		switch p.Of {
		case pred.NameIn:
			g.needs |= abi.NeedIif
		case pred.NameOut:
			g.needs |= abi.NeedOif
		}
	case pred.Addr:
		g.needAddress(p.Of)
	case pred.AddrRange:
		g.needAddress(p.Of)
	case pred.TCPOption, pred.TCPMSS, pred.DCCPOption, pred.SCTPChunks:
		g.needs |= abi.NeedL4 | abi.NeedWide
	}
}

// l4Narrow is how many bytes of the transport header are there without NeedWide.
const l4Narrow = 8

// needClasses asks for what any classified chain may read: the ports and the protocol
// are part of the key.
func (g *generator) needClasses(classes []*plan.Class) {
	g.needs |= abi.NeedL4
	for _, c := range classes {
		for r := range c.All() {
			g.needRule(r)
		}
	}
}

func (g *generator) needRule(r *plan.Rule) {
	for _, p := range r.Conds {
		pred.Any(p, func(part pred.Pred) bool {
			g.need(part)
			return false
		})
	}
	for _, s := range r.Action.Sets {
		g.needField(s.Dst)
		g.needField(s.Src)
	}
	if r.Action.NoTrack {
		g.needField(pred.FieldHasConn)
	}
}

// Needs is what a rule in a classified chain asks of the facts (abi.Need*). Names of
// interfaces need not be there.
func Needs(family packet.Family, r *plan.Rule) uint32 {
	g := &generator{family: family}
	g.needRule(r)
	return g.needs &^ (abi.NeedIif | abi.NeedOif)
}

func (g *generator) needBase(b pred.Base) {
	if b == pred.BaseL4 {
		g.needs |= abi.NeedL4
	}
}

func (g *generator) needAddress(of pred.AddrField) {
	if of > pred.AddrDst {
		g.needs |= abi.NeedCt
	}
}

func (g *generator) needField(f pred.Field) {
	switch f {
	case pred.FieldProto, pred.FieldL4State, pred.FieldFragOff, pred.FieldTHOff:
		if g.family == packet.IPv6 { // in IPv4 they are read with the IP header
			g.needs |= abi.NeedL4
		}
	case pred.FieldL4Avail:
		g.needs |= abi.NeedL4
	case pred.FieldCtState, pred.FieldHasConn, pred.FieldCtMark:
		g.needs |= abi.NeedCt
	case pred.FieldEther, pred.FieldMACHi, pred.FieldMACLo:
		g.needs |= abi.NeedMac
	}
}
