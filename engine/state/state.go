// Package state keeps on disk what a generation was made from, so that any process
// can print the ruleset with live counters, or change it, without reading the text
// of its rules.
//
// In: the tables, chains and rules of one family's generation, as texts with the
// places of their live counters (Builder). Out: a Store, which is the file in memory:
// opening one costs the same however many rules it has, but for the checksum. It
// writes the text of iptables-save, finds rules, and is edited in place. Refused:
// files that are damaged or of another layout, with what would do.
//
//	b := state.NewBuilder(state.Head{Family: packet.IPv4, Generation: 7})
//	b.Table(state.TableSpec{Name: "filter", InBPF: true})
//	b.Chain(state.ChainSpec{Name: "INPUT", Policy: "ACCEPT", Slot: 0, Origin: state.NoOrigin, Class: state.None})
//	b.Rule(state.Rule{Text: []byte("-p tcp -j DROP"), Slot: 1, Row: state.None, Origin: state.NoOrigin})
//	err := b.Write(dir)
//
//	s, err := state.Open(dir, 7, 0)
//	e := s.Edit(1)
//	e.Delete(s.Table("filter").Chain("INPUT"), 0)
//	err = e.Commit() // then one map write makes version 1 live
//
// # Files
//
//	state-GEN.db   the base: a generation at one version, replaced as a whole
//	state-GEN.log  the journal: a batch for each later version, appended as a whole
//
// A generation's file is written before the generation goes live: the live number,
// which the datapath holds, tells which state counts. A version is the same one step
// down: the batch that leads to it is in the journal before the datapath's word says
// that it is live, and readers follow the journal up to the live version and no
// further. So a process killed anywhere leaves the old or the new rules.
//
// Numbers are little-endian. The base is a header (layout.go), then the sections
//
//	tables | chains | rules | hashes of the rules' texts | names | texts | extra
//
// whose places follow from the counts in the header.
package state

import (
	"errors"
	"fmt"
	"math"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// First is the version that a generation begins with.
const First = 0

// None as a slot, a row or the number of a rule: there is none.
const None = math.MaxUint32

// ErrStale is that of a state that is not at the version asked for: it was changed
// meanwhile, and whoever holds no lock looks again.
var ErrStale = errors.New("is not at the live version")

// Head is what a state says about its generation.
type Head struct {
	Family          packet.Family
	Generation      uint32
	Version         uint32 // of the generation: it changes with every change in place
	Previous        uint32 // the generation before; 0: none
	PreviousVersion uint32 // its last version
	Conntrack       bool   // the rules need the kernel's connection tracking
	// Carried says that the last counters of the previous generation were added to
	// the counters of the rules. Until then they are part of the live value.
	Carried bool
}

// TableSpec is what a state says about a table.
type TableSpec struct {
	Name  string
	InBPF bool // else netfilter runs it
	Shims int  // rules that netfilter runs for the table
}

// ChainSpec is what a state says about a chain.
type ChainSpec struct {
	Name     string
	Policy   string           // ACCEPT or DROP; empty for a user chain
	Counters ruleset.Counters // of the policy, when the generation began
	Slot     uint32           // of the policy, in the counters map
	Origin   Origin           // of the policy
	Class    uint32           // its number where rules are looked up; None: it cannot be changed in place
}

// Rule is one rule of a state.
type Rule struct {
	// Text is what iptables-save prints after the name of the chain. That of a rule
	// got from a Store is valid until the Store is closed.
	Text []byte
	// Exact is what iptables.Exact gives for the rule: nil unless its words say more
	// than Text, which is then for people only. As Text, it is valid until the Store is
	// closed.
	Exact []byte
	// Slot is the number in the counters map; None for a table left to netfilter:
	// its counters are found by place.
	Slot uint32
	Row  uint32 // of the classifier; None: the rule has no row
	// Counters are what the rule had when its slot began to count.
	Counters ruleset.Counters
	Origin   Origin
}

// key is what two rules that are the same have in common.
func (r *Rule) key() []byte {
	if r.Exact != nil {
		return r.Exact
	}
	return r.Text
}

// Origin is the place of the same rule in the previous generation, whose last counts
// go on here: the number of the chain (Store.ChainAt) and of the rule in it, None for
// the policy.
type Origin struct{ Chain, Rule uint32 }

// NoOrigin is that of a rule that is new.
var NoOrigin = Origin{Chain: None, Rule: None}

// None says that there is no origin.
func (o Origin) None() bool { return o.Chain == None }

// ErrUnreadable is that of a state of which nothing can be known: it was damaged, or made by a
// version of bpftables that lays states out in another way.
var ErrUnreadable = errors.New("their state cannot be read")

// damaged is the error of a file that cannot be read.
func damaged(path, what string) error {
	return fmt.Errorf("%w: %s: %s", ErrUnreadable, path, what)
}
