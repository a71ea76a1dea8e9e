package ruleset

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Base is what ties a chain to a hook. At a hook the base chains of all tables run in the
// order of their priorities: accept goes on to the next, drop is final (nf_hook_slow(),
// net/netfilter/core.c).
type Base struct {
	Hook     packet.Hook
	Type     ChainType
	Priority int32
	Policy   Policy
	Devices  []string // the interfaces that it is for; none: all
}

// ChainType is what a base chain is for: it says who asks it, and when.
type ChainType uint8

// The types (enum nft_chain_types, include/net/netfilter/nf_tables.h).
const (
	// Filter chains are asked for every packet.
	Filter ChainType = iota
	// NAT chains are asked for the first packet of a connection and translate addresses.
	NAT
	// Route chains are as Filter; a packet of this host whose mark or addresses they changed
	// is routed again.
	Route
)

// String is the name of the type.
func (t ChainType) String() string { return [...]string{"filtering", "translating", "routing"}[t] }

// Policy is what becomes of a packet that comes to the end of a base chain.
type Policy uint8

// The policies.
const (
	Accept Policy = iota
	Drop
)

// String is the verdict in words.
func (p Policy) String() string { return [...]string{"ACCEPT", "DROP"}[p] }

// Priorities that the kernel has names for (enum nf_ip_hook_priorities,
// include/uapi/linux/netfilter_ipv4.h; those of IPv6 are the same).
const (
	PriorityRaw       = -300
	PriorityConntrack = -200
	PriorityMangle    = -150
	PriorityDstNAT    = -100
	PriorityFilter    = 0
	PrioritySecurity  = 50
	PrioritySrcNAT    = 100
)

// Tracked says whether packets come to a base chain from the kernel's connection tracking:
// at the hooks where it looks at packets it stands at a priority of its own
// (ipv4_conntrack_ops, net/netfilter/nf_conntrack_proto.c).
func (b *Base) Tracked() bool {
	first := b.Hook == packet.Prerouting || b.Hook == packet.Output
	return !first || b.Priority > PriorityConntrack
}

// Bases are the base chains' ties of a table, in the order of its chains.
func (t *Table) Bases() []*Base {
	if t.bases == nil {
		t.bases = []*Base{}
		for _, c := range t.Chains {
			if c.Base != nil {
				t.bases = append(t.bases, c.Base)
			}
		}
	}
	return t.bases
}

// BaseAt is the first base chain of the table at a hook; nil when there is none.
func (t *Table) BaseAt(h packet.Hook) *Chain {
	for _, c := range t.Chains {
		if c.Base != nil && c.Base.Hook == h {
			return c
		}
	}
	return nil
}

// Place is where the rules of a chain of the table stand that is reached from some hooks.
func (t *Table) Place(family packet.Family, hooks uint8) *Place {
	return &Place{Family: family, Bases: t.Bases(), Hooks: hooks}
}

// MisplacedError says that a word works in some base chains only.
type MisplacedError struct {
	Option     string      // of the word; empty: the word itself
	Types      []ChainType // of these types
	Priorities []int32     // or at these priorities
}

// Error names what the base chains would have to be. Frontends that have names for them
// say it in their own words.
func (e *MisplacedError) Error() string {
	var wants []string
	for _, t := range e.Types {
		wants = append(wants, t.String()+" base chains")
	}
	for _, p := range e.Priorities {
		wants = append(wants, "base chains at priority "+strconv.Itoa(int(p)))
	}
	s := "only valid in " + strings.Join(wants, " or ") + "; move the rule there"
	if e.Option != "" {
		s = e.Option + " is " + s
	}
	return s
}

// ErrTranslating refuses a drop in base chains that see the first packet of a connection only.
var ErrTranslating = errors.New("base chains that translate addresses are not intended for filtering; drop in one that filters")

// OnlyAt refuses a rule in a table that has base chains at other priorities.
func (p *Place) OnlyAt(priorities ...int32) error {
	for _, b := range p.Bases {
		if !slices.Contains(priorities, b.Priority) {
			return &MisplacedError{Priorities: priorities}
		}
	}
	return nil
}

// OnlyOf refuses a rule in a table that has base chains of another type.
func (p *Place) OnlyOf(t ChainType) error {
	for _, b := range p.Bases {
		if b.Type != t {
			return &MisplacedError{Types: []ChainType{t}}
		}
	}
	return nil
}
