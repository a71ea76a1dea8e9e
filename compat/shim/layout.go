package shim

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Layout is what netfilter gets for one table of one generation. Own prints it for our
// table in nf_tables, Text for the tools of iptables.
type Layout struct {
	Family packet.Family
	Gen    uint32
	Table  string
	Root   string // starts the names of all its chains
	// Exact says that among netfilter's tools only iptables-legacy runs the rules exactly:
	// whole tables, and targets that need -p in their rule, which nf_tables asks in another
	// way.
	Exact bool
	// Whole says that the table is left to netfilter, not only some targets of it.
	Whole    bool
	Entries  []Entry // one for each hook, in hook order
	Chains   []Chain // reached from the entries; before the chains that they jump to
	Late     Late
	Programs []Program
}

// Entry is what stands at a hook.
type Entry struct {
	Hook     packet.Hook
	Priority int32  // of the base chain (enum nf_ip_hook_priorities)
	NAT      bool   // it translates addresses
	Route    bool   // packets that it has changed are routed again
	Chain    string // the built-in chain, where the rules go into netfilter's own table
	Rules    []Rule
}

// Chain is a chain that packets reach by jumps.
type Chain struct {
	Name  string
	Hook  packet.Hook // from which packets come, where that is one
	Rules []Rule
}

// Rule is a question to a program and what is done when the answer is yes; or a rule of
// a table that is left to netfilter.
type Rule struct {
	Ask    string        // path of a pinned program; "" asks nothing
	Jump   string        // a chain
	Goto   string        // a chain, without coming back
	Effect pred.Effect   // that netfilter runs
	Own    string        // asked in place of Ask in our own table, where the effect is done in another way
	Is     string        // asked before, where what is done stands before Ask
	Ends   bool          // the rest of the effect, behind conntrack
	Policy string        // ACCEPT or DROP
	Rule   *ruleset.Rule // of a table that is left to netfilter, with
	Text   string        // the line that iptables reads
}

// Program is a program to load and pin under Name before the layout is applied.
type Program struct {
	Name  string
	Kind  Kind
	Table string
	// Base says that it is for packets of one base chain, at
	Base     bool
	Hook     packet.Hook
	Priority int32
	Bits     uint32 // of Bit and LateBit: the answer is whether all of them are set
	// Of programs that take an action: what bits of its number are, and which.
	Leaf, LeafBits uint32
	Late           bool // of Pending: some actions of the table are ended behind conntrack
}

// Place names the base chain that it is for; "": it is for all of its table.
func (p *Program) Place() string {
	if !p.Base {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.Hook, p.Priority)
}

// Kind is a program that a "-m bpf" match runs (bpf/shim.bpf.c).
type Kind string

// The kinds of programs.
const (
	Pending    Kind = "pending"
	PendingOut Kind = "pending_out" // at OUTPUT and POSTROUTING, which processes come to
	Asked      Kind = "asked"       // before all chains that translate
	Bit        Kind = "bit"         // bits of the number of the next action
	AnyBit     Kind = "any_bit"     // some of them
	Take       Kind = "take"        // the next action, if its number has the lowest bits
	Wanted     Kind = "is_wanted"   // Take would take it
	TakeUnmet  Kind = "take_unmet"  // only where nothing is attached to the packet
	Done       Kind = "done"
	DropNoted  Kind = "drop"
	Enter      Kind = "enter" // of one hook

	// Of actions that are ended behind conntrack.
	TakeLate    Kind = "take_late"
	LatePending Kind = "late_pending"
	LateBit     Kind = "late_bit"
	LateDone    Kind = "late_done"
)

// stem starts the names of all our chains.
const stem = "bpftables"

// Prefix starts the names of all chains and pins of a generation.
func Prefix(gen uint32) string { return fmt.Sprintf("%s%d", stem, gen) }

// Holder is the chain with what rules of a generation name that no packet meets.
func Holder(gen uint32) string { return Prefix(gen) + "-h" }

// IsHolder says whether a chain is one that Hold gives for a generation.
func IsHolder(chain string, gen uint32) bool {
	return chain == Holder(gen) || strings.HasPrefix(chain, Holder(gen)+"-")
}

// Trial is a chain in which rules stand for a moment, to hear what netfilter says.
func Trial(gen uint32) string { return Prefix(gen) + "-t" }

// aside says whether a chain of a generation is none of its layouts'.
func aside(chain string, gen uint32) bool { return chain == Holder(gen) || chain == Trial(gen) }

// chainName starts the names of the chains of a table: a letter tells the tables of iptables
// apart in nf_tables, as its tools take 28 bytes for a name (XT_EXTENSION_MAXNAMELEN).
func chainName(gen uint32, table string) string { return Prefix(gen) + "-" + shortName(table) }

func shortName(table string) string {
	if ofOthers(table) {
		return pinName(table)
	}
	return table[:1]
}

// ofOthers says whether a table is of another owner than iptables: its name begins with the
// owner's, and can be of any length.
func ofOthers(table string) bool { return strings.Contains(table, "/") }

// pinName is what the names of a table's programs begin with.
func pinName(table string) string {
	if !ofOthers(table) {
		return table
	}
	return fmt.Sprintf("o%x", sha256.Sum256([]byte(table)))[:17]
}

// PinDir is the directory of a generation's pins.
func PinDir(pins string, gen uint32) string { return fmt.Sprintf("%s/gen-%d", pins, gen) }

// builder collects a Layout.
type builder struct {
	Layout
	pins    string
	at      *plan.Hook // the base chain that is laid out, where each has chains of its own
	late    bool       // some actions are ended behind conntrack
	few     bool       // the tree has so few actions that one chain has them all
	effect  func(number int) (pred.Effect, error)
	growing *growing // nil: all is laid out
	failed  bool     // what is asked for cannot grow
	err     error
}

func (b *builder) chain(name string, rules ...Rule) {
	c := Chain{Name: name, Rules: rules}
	if b.at != nil {
		c.Hook = b.at.Hook
	}
	b.Chains = append(b.Chains, c)
}

// ask gives the path of a program.
func (b *builder) ask(kind Kind) string { return b.askOf(Program{Name: string(kind), Kind: kind}) }

// askBits gives the path of a program that tells whether bits of the number of an action are set.
func (b *builder) askBits(kind Kind, set int) string {
	return b.askOf(Program{Name: fmt.Sprintf("%s-%d", kind, set), Kind: kind, Bits: uint32(set)})
}

// askLeaf gives the path of a program that takes an action: by the lowest bits of its number, or by all.
func (b *builder) askLeaf(kind Kind, a action) string {
	if b.few {
		return b.askOf(Program{Name: fmt.Sprintf("%s-is-%d", kind, a.number), Kind: kind, Leaf: uint32(a.number), LeafBits: math.MaxUint32})
	}
	leaf := uint32(a.number) & (plan.Leaf - 1)
	return b.askOf(Program{Name: fmt.Sprintf("%s-%d", kind, leaf), Kind: kind, Leaf: leaf, LeafBits: plan.Leaf - 1})
}

func (b *builder) askOf(p Program) string {
	p.Name, p.Table = pinName(b.Table)+"-"+p.Name, b.Table
	if b.at != nil {
		p.Base, p.Hook, p.Priority = true, b.at.Hook, b.at.Priority
		p.Name += "-" + p.Place()
	}
	return b.load(p)
}

// enter gives the path of the program by which a table that is left to netfilter takes a
// packet at a hook.
func (b *builder) enter(at *ruleset.Base) string {
	return b.load(Program{
		Name: fmt.Sprintf("%s-%s-%s", b.Table, Enter, at.Hook), Kind: Enter, Table: b.Table,
		Base: true, Hook: at.Hook, Priority: at.Priority,
	})
}

// load gives the path of a program and asks for it once.
func (b *builder) load(p Program) string {
	found := false
	for i := len(b.Programs) - 1; i >= 0 && !found; i-- {
		found = b.Programs[i].Name == p.Name
	}
	if !found {
		b.Programs = append(b.Programs, p)
	}
	return b.pins + "/" + p.Name
}

// Generation tells whose chain it is, by its name.
func Generation(chain string) (gen uint32, ours bool) {
	rest, ok := strings.CutPrefix(chain, stem)
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "-")
	return number(digits)
}
