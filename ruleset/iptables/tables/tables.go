// Package tables knows the tables of iptables: which there are, and which base chains
// they have. In: names. Out: the model, which says a chain's hook, type and priority and
// knows no names. It is the one place for them outside of texts.
//
//	tables.New("filter", packet.IPv4)  INPUT, FORWARD and OUTPUT, filtering at priority 0
package tables

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Owner is the name of iptables as an owner of tables.
const Owner = "iptables"

// Names are the tables, sorted.
var Names = []string{"filter", "mangle", "nat", "raw", "security"}

// chainNames are the names of the base chains, by hook.
var chainNames = [...]string{
	packet.Prerouting: "PREROUTING", packet.Input: "INPUT", packet.Forward: "FORWARD",
	packet.Output: "OUTPUT", packet.Postrouting: "POSTROUTING",
}

// bases are the base chains of each table, in the order in which iptables-save prints
// them (iptable_filter.c, iptable_mangle.c and so on in net/ipv4/netfilter). Table mangle
// routes packets of this host again (ipt_mangle_out()).
var bases = map[string][]ruleset.Base{
	"raw": at(ruleset.Filter, ruleset.PriorityRaw, packet.Prerouting, packet.Output),
	"mangle": routed(at(ruleset.Filter, ruleset.PriorityMangle,
		packet.Prerouting, packet.Input, packet.Forward, packet.Output, packet.Postrouting)),
	"nat": {
		{Hook: packet.Prerouting, Type: ruleset.NAT, Priority: ruleset.PriorityDstNAT},
		{Hook: packet.Input, Type: ruleset.NAT, Priority: ruleset.PrioritySrcNAT},
		{Hook: packet.Output, Type: ruleset.NAT, Priority: ruleset.PriorityDstNAT},
		{Hook: packet.Postrouting, Type: ruleset.NAT, Priority: ruleset.PrioritySrcNAT},
	},
	"filter":   at(ruleset.Filter, ruleset.PriorityFilter, packet.Input, packet.Forward, packet.Output),
	"security": at(ruleset.Filter, ruleset.PrioritySecurity, packet.Input, packet.Forward, packet.Output),
}

func at(t ruleset.ChainType, priority int32, hooks ...packet.Hook) []ruleset.Base {
	var out []ruleset.Base
	for _, h := range hooks {
		out = append(out, ruleset.Base{Hook: h, Type: t, Priority: priority})
	}
	return out
}

func routed(all []ruleset.Base) []ruleset.Base {
	for i := range all {
		if all[i].Hook == packet.Output {
			all[i].Type = ruleset.Route
		}
	}
	return all
}

// Known says whether there is a table of that name.
func Known(table string) bool { return bases[table] != nil }

// BuiltIns are the names of the base chains of a table, in the order in which
// iptables-save prints them; none for a table that is not known.
func BuiltIns(table string) []string {
	var out []string
	for _, b := range bases[table] {
		out = append(out, chainNames[b.Hook])
	}
	return out
}

// New gives a table with its built-in chains, all with policy ACCEPT.
func New(name string, family packet.Family) *ruleset.Table {
	t := &ruleset.Table{Family: family, Name: name, Owner: Owner}
	for _, b := range bases[name] {
		t.AddChain(&ruleset.Chain{Name: chainNames[b.Hook], Base: &b})
	}
	return t
}

// Base gives what ties a chain of a table to its hook, with a policy in iptables' words;
// nil for a user chain.
func Base(table, chain, policy string) *ruleset.Base {
	for _, b := range bases[table] {
		if chainNames[b.Hook] == chain {
			b.Policy, _ = ParsePolicy(policy)
			return &b
		}
	}
	return nil
}

// Bases are the ties of all base chains of a table.
func Bases(table string) []*ruleset.Base { return ties[table] }

var ties = func() map[string][]*ruleset.Base {
	out := map[string][]*ruleset.Base{}
	for name := range bases {
		out[name] = New(name, packet.IPv4).Bases()
	}
	return out
}()

// ChainName is the name of the base chain at a hook.
func ChainName(h packet.Hook) string { return chainNames[h] }

// HookOf finds the hook of a base chain by its name.
func HookOf(chain string) (packet.Hook, bool) {
	i := slices.Index(chainNames[:], chain)
	return packet.Hook(max(i, 0)), i >= 0
}

// PolicyOf is the policy of a chain in iptables' words; "" for a user chain.
func PolicyOf(c *ruleset.Chain) string {
	if c.Base == nil {
		return ""
	}
	return c.Base.Policy.String()
}

// ParsePolicy reads a policy in iptables' words.
func ParsePolicy(word string) (ruleset.Policy, bool) {
	switch word {
	case ruleset.Accept.String():
		return ruleset.Accept, true
	case ruleset.Drop.String():
		return ruleset.Drop, true
	}
	return ruleset.Accept, false
}

// Word says where a word would be valid in the names of tables.
func Word(err error, table string) string {
	var e *ruleset.MisplacedError
	if errors.Is(err, ruleset.ErrTranslating) {
		return fmt.Sprintf("the %q table is not intended for filtering; drop in table filter", table)
	}
	if !errors.As(err, &e) {
		return err.Error()
	}
	var wants []string
	for _, name := range printed {
		if fits(e, bases[name]) {
			wants = append(wants, name)
		}
	}
	to := strings.Join(wants, " or ")
	s := fmt.Sprintf("only valid in table %s, not in %s; move the rule to table %s", to, table, to)
	if e.Option != "" {
		s = e.Option + " is " + s
	}
	return s
}

// printed is the order in which messages name tables.
var printed = []string{"raw", "mangle", "nat", "filter", "security"}

func fits(e *ruleset.MisplacedError, all []ruleset.Base) bool {
	for _, b := range all {
		if !slices.Contains(e.Types, b.Type) && !slices.Contains(e.Priorities, b.Priority) {
			return false
		}
	}
	return true
}
