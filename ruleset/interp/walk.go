package interp

import (
	"cmp"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
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

const natNote = "not judged here: a chain that translates addresses sees only the first packet of a connection and changes addresses; the packet is taken as given"

// Walk passes a packet through every base chain that it meets up to and after its
// hook, until one drops or takes it. Chains that translate addresses are noted and not
// run.
func Walk(rs *ruleset.Ruleset, f *packet.Facts, mode Mode) []Stop {
	var stops []Stop
	for _, h := range ways[f.Hook] {
		for _, at := range stations(rs, h) {
			s := Stop{Table: at.table.Name, Owner: at.table.Owner, Chain: at.chain.Name, Hook: h, Priority: at.chain.Base.Priority}
			if at.chain.Base.Type == ruleset.NAT {
				s.Why = natNote
				stops = append(stops, s)
				continue
			}
			s.Result = New(rs.Family, at.table, mode).TraceBase(at.chain, seenAt(f, at.chain.Base))
			stops = append(stops, s)
			if s.Result.Verdict != Accept {
				return stops
			}
			f = carry(f, s.Result.Facts, at.chain.Base)
		}
	}
	return stops
}

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
