package interp

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Stop is one table at one hook on the way of a packet.
type Stop struct {
	Table  string
	Hook   packet.Hook
	Note   string // why the table was not run; empty: Result is valid
	Result Result
}

// meeting is the order in which the tables meet a packet, by the hook that it is
// explained for: prerouting comes before input and forward, postrouting after
// forward and output (priorities of enum nf_ip_hook_priorities,
// include/uapi/linux/netfilter_ipv4.h; nat at INPUT runs with source NAT).
var meeting = map[packet.Hook][]Stop{
	packet.Prerouting: {{Table: "raw"}, {Table: "mangle"}, {Table: "nat"}},
	packet.Input: {{Table: "raw"}, {Table: "mangle"}, {Table: "nat"}, {Table: "mangle", Hook: packet.Input},
		{Table: "filter", Hook: packet.Input}, {Table: "security", Hook: packet.Input}, {Table: "nat", Hook: packet.Input}},
	packet.Forward: {{Table: "raw"}, {Table: "mangle"}, {Table: "nat"}, {Table: "mangle", Hook: packet.Forward},
		{Table: "filter", Hook: packet.Forward}, {Table: "security", Hook: packet.Forward},
		{Table: "mangle", Hook: packet.Postrouting}, {Table: "nat", Hook: packet.Postrouting}},
	packet.Output: {{Table: "raw", Hook: packet.Output}, {Table: "mangle", Hook: packet.Output}, {Table: "nat", Hook: packet.Output},
		{Table: "filter", Hook: packet.Output}, {Table: "security", Hook: packet.Output},
		{Table: "mangle", Hook: packet.Postrouting}, {Table: "nat", Hook: packet.Postrouting}},
	packet.Postrouting: {{Table: "mangle", Hook: packet.Postrouting}, {Table: "nat", Hook: packet.Postrouting}},
}

const natNote = "not judged here: the nat table sees only the first packet of a connection and changes addresses; the packet is taken as given"

// Walk passes a packet through every table that it meets up to and after its
// hook, until one drops or takes it. Tables that the ruleset does not have are
// left out; the nat table is noted and not run.
func Walk(rs *ruleset.Ruleset, f *packet.Facts, mode Mode) []Stop {
	var stops []Stop
	for _, s := range meeting[f.Hook] {
		t := rs.Table(s.Table)
		if t == nil || t.Chain(s.Hook.String()) == nil {
			continue
		}
		if s.Table == "nat" {
			s.Note = natNote
			stops = append(stops, s)
			continue
		}
		s.Result = New(rs.Family, t, mode).Trace(seenAt(f, s.Table, s.Hook))
		stops = append(stops, s)
		if s.Result.Verdict != Accept {
			break
		}
		f = carry(f, s.Result.Facts, s.Table)
	}
	return stops
}

// seenAt is the packet as a table at a hook sees it: the out interface and the
// realm are known after routing, the in interface not after POSTROUTING of a local
// packet, and conntrack comes behind the raw table (a packet that comes back over
// lo still has the entry it left with, nf_conntrack_in()).
func seenAt(f *packet.Facts, table string, h packet.Hook) *packet.Facts {
	c := copyFacts(f)
	c.Hook = h
	switch h {
	case packet.Prerouting:
		c.Out, c.PhysOut, c.Realm = packet.Iface{}, packet.Iface{}, 0
	case packet.Input:
		c.Out, c.PhysOut = packet.Iface{}, packet.Iface{}
	case packet.Output:
		c.In, c.PhysIn = packet.Iface{}, packet.Iface{}
	}
	if table == "raw" && f.In.Name != "lo" {
		c.Conn, c.CtState = nil, packet.CtInvalid
	}
	return c
}

// carry takes over what a table changed for those behind it.
func carry(f, after *packet.Facts, table string) *packet.Facts {
	c := copyFacts(f)
	c.Mark = after.Mark
	switch {
	case table == "raw" && after.CtState&packet.CtUntracked != 0:
		c.CtState, c.Conn = packet.CtUntracked, nil
	case table != "raw" && c.Conn != nil && after.Conn != nil:
		c.Conn.Mark = after.Conn.Mark
	}
	return c
}
