package interp

import (
	"cmp"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Stop is one base chain on the way of a packet.
type Stop struct {
	Table    string
	Owner    string
	Chain    string
	Hook     packet.Hook
	Priority int32
	Why      string // why the chain was not run; empty: Result is valid
	Result   Result
	// Translated says what became of the packet's addresses; empty: they stay.
	Translated string
	// Settled says that the chain translates addresses and lets the packet go on: it decides of the
	// packet nothing else.
	Settled bool
}

// ways are the hooks that a packet meets, by the one that it is explained for.
var ways = map[packet.Hook][]packet.Hook{
	packet.Prerouting:  {packet.Prerouting},
	packet.Input:       {packet.Prerouting, packet.Input},
	packet.Forward:     {packet.Prerouting, packet.Forward, packet.Postrouting},
	packet.Output:      {packet.Output, packet.Postrouting},
	packet.Postrouting: {packet.Postrouting},
}

// station is a base chain and its table.
type station struct {
	table *ruleset.Table
	chain *ruleset.Chain
}

// stations are the base chains at a hook in the order of their priorities; among equals,
// in that of their tables (nf_hook_entries_grow(), net/netfilter/core.c).
func stations(rs *ruleset.Ruleset, h packet.Hook) []station {
	var out []station
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			if c.Base != nil && c.Base.Hook == h {
				out = append(out, station{t, c})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b station) int { return cmp.Compare(a.chain.Base.Priority, b.chain.Base.Priority) })
	return out
}

// Walk passes a packet through every base chain that it meets up to and after its
// hook, until one drops or takes it. Chains that translate addresses are asked about the first
// packet of a connection; where it goes then follows from its destination.
func Walk(rs *ruleset.Ruleset, f *packet.Facts, mode Mode) []Stop {
	var stops []Stop
	for hooks := ways[f.Hook]; len(hooks) > 0; hooks = hooks[1:] {
		before, redirected, translator := f, false, 0
		for _, at := range stations(rs, hooks[0]) {
			s := Stop{Table: at.table.Name, Owner: at.table.Owner, Chain: at.chain.Name, Hook: hooks[0], Priority: at.chain.Base.Priority}
			nat := at.chain.Base.Type == ruleset.NAT
			if nat {
				s.Why = unasked(f, hooks[0])
			}
			if s.Why != "" {
				stops = append(stops, s)
				continue
			}
			s.Result = New(rs.Family, at.table, mode).TraceBase(at.chain, seenAt(f, at.chain.Base))
			after := carry(f, s.Result.Facts, at.chain.Base)
			if e, is := s.Result.translated(); is {
				after, s.Translated = translate(after, hooks[0], e)
				redirected, translator = e.Kind == pred.NATRedirect, len(stops)
			}
			s.Settled = nat && s.Result.Verdict == Accept
			stops = append(stops, s)
			if s.Result.Verdict != Accept {
				return stops
			}
			f = after
		}
		if f.Dst() != before.Dst() || redirected {
			if f, hooks = routed(f, hooks, redirected); hooks[0] == packet.Prerouting && f.Hook == packet.Forward && f.Out.Name == "" {
				stops[translator].Translated += "; it is forwarded, by an interface that is not given: 'out NAME' says by which"
			}
		}
	}
	return stops
}

// translated is the translation that ended a chain.
func (r *Result) translated() (e pred.NAT, is bool) {
	if len(r.Effects) > 0 {
		e, is = r.Effects[len(r.Effects)-1].(pred.NAT)
	}
	return e, is
}

// routed gives the way that a packet goes on whose destination was changed: here says that it is
// this host. What was sent from here is routed again.
func routed(f *packet.Facts, hooks []packet.Hook, here bool) (*packet.Facts, []packet.Hook) {
	if len(hooks) == 1 || !here && f.World.AddrTypes == nil {
		return f, hooks
	}
	here = here || f.World.AddrTypes(f.Dst(), "")&local != 0
	f = copyFacts(f)
	switch {
	case hooks[0] == packet.Output && here:
		f.Out = packet.Iface{Name: "lo"}
	case hooks[0] != packet.Prerouting:
	case here:
		f.Out, f.Hook, hooks = packet.Iface{}, packet.Input, ways[packet.Input]
	default:
		f.Hook, hooks = packet.Forward, ways[packet.Forward]
	}
	return f, hooks
}

// local is 1 << RTN_LOCAL (include/uapi/linux/rtnetlink.h).
const local = 1 << 2

// seenAt is the packet as a base chain sees it: the out interface and the
// realm are known after routing, the in interface not after POSTROUTING of a local
// packet, and some chains stand before conntrack (a packet that comes back over
// lo still has the entry it left with, nf_conntrack_in()).
func seenAt(f *packet.Facts, at *ruleset.Base) *packet.Facts {
	c := copyFacts(f)
	c.Hook = at.Hook
	switch at.Hook {
	case packet.Prerouting:
		c.Out, c.PhysOut, c.Realm = packet.Iface{}, packet.Iface{}, 0
	case packet.Input:
		c.Out, c.PhysOut = packet.Iface{}, packet.Iface{}
	case packet.Output:
		c.In, c.PhysIn = packet.Iface{}, packet.Iface{}
	}
	if !at.Tracked() && f.In.Name != "lo" {
		c.Conn, c.CtState = nil, packet.CtInvalid
	}
	return c
}

// carry takes over what a chain changed for those behind it.
func carry(f, after *packet.Facts, at *ruleset.Base) *packet.Facts {
	c := copyFacts(f)
	c.Mark = after.Mark
	switch {
	case !at.Tracked() && after.CtState&packet.CtUntracked != 0:
		c.CtState, c.Conn = packet.CtUntracked, nil
	case at.Tracked() && c.Conn != nil && after.Conn != nil:
		c.Conn.Mark = after.Conn.Mark
	}
	return c
}
