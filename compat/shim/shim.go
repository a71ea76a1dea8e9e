// Package shim writes the rules that netfilter runs for us: targets that only the
// kernel's own code can run, told by BPF, and tables that are left to netfilter
// whole.
//
// In: a table of a plan or of a ruleset, and the generation. Out: iptables-restore
// text for that table (without "*table" and COMMIT) and the small programs that
// its "-m bpf" matches need. Everything carries the generation's number, so that
// rules of two generations stand side by side during a switch:
//
//	INPUT: -m bpf pending -j bpftables7     something is noted for this packet
//	bpftables7: -j bpftables7-a0-9          the tree of targets
//	            -m bpf range -j bpftables7-a0-9   again, where the order asks for it
//	            -m bpf left -j DROP          never: fails closed
//	            -m bpf drop -j DROP          the verdict that follows the targets
package shim

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Kind is a program that a "-m bpf" match runs (bpf/shim.bpf.c).
type Kind string

// The kinds of programs.
const (
	Pending    Kind = "pending"
	PendingOut Kind = "pending_out" // at OUTPUT
	Range      Kind = "range"
	Take       Kind = "take"
	Left       Kind = "left"
	DropNoted  Kind = "drop"
	ActiveGen  Kind = "active_gen"
)

// Program is a program to load and pin under Name before the text is applied.
type Program struct {
	Name   string
	Kind   Kind
	Table  string
	Lo, Hi uint16
}

// Layout is the part of one generation in one netfilter table.
type Layout struct {
	Table string
	// Exact says that only iptables-legacy runs the rules exactly: whole tables, and
	// targets that need -p in their rule, which nf_tables asks in another way.
	Exact    bool
	Lines    []string
	Programs []Program
}

// fanout is how many matches a packet meets on one level of the tree of targets.
const fanout = 12

// Prefix starts the names of all chains and pins of a generation.
func Prefix(gen uint32) string { return fmt.Sprintf("bpftables%d", gen) }

// builder collects a Layout.
type builder struct {
	Layout
	family packet.Family
	gen    uint32
	pins   string
}

// Targets lays out the actions of a table that runs in BPF. pins is the directory
// of the generation's pins. Nil when the table has no such actions.
func Targets(family packet.Family, t *plan.Table, gen uint32, pins string) *Layout {
	if len(t.Actions) == 0 {
		return nil
	}
	b := &builder{Layout: Layout{Table: t.Name}, family: family, gen: gen, pins: pins}
	for _, a := range t.Actions {
		b.Exact = b.Exact || len(guard(a.Effect)) > 0
	}
	root := Prefix(gen)
	b.chain(root)
	top := b.tree(t.Actions, 0, len(t.Actions))
	for _, h := range t.Hooks {
		kind := Pending
		if h.Hook == packet.Output {
			kind = PendingOut
		}
		b.add("-A %s %s -j %s", h.Hook, b.match(kind, 0, 0), root)
	}
	b.passes(root, top, t.Passes)
	b.add("-A %s %s -j DROP", root, b.match(Left, 0, 0))
	b.add("-A %s %s -j DROP", root, b.match(DropNoted, 0, 0))
	return &b.Layout
}

// passes lets a chain run the tree, and again while actions are left. The passes stand
// side by side, as nf_tables nests at most 16 jumps (NFT_JUMP_STACK_SIZE).
func (b *builder) passes(chain, top string, n int) {
	b.add("-A %s -j %s", chain, top)
	for range n - 1 {
		b.add("-A %s %s -j %s", chain, b.match(Range, 0, anyAction), top)
	}
}

// anyAction is beyond the number of every action.
const anyAction = 0xffff

// tree adds the chain that runs actions lo to hi-1 and gives its name.
func (b *builder) tree(actions []plan.Action, lo, hi int) string {
	name := fmt.Sprintf("%s-a%d-%d", Prefix(b.gen), lo, hi)
	b.chain(name)
	step := 1
	for (hi-lo+step-1)/step > fanout {
		step *= fanout
	}
	var lines []string
	for i := lo; i < hi; i += step {
		end := min(i+step, hi)
		if step == 1 {
			lines = append(lines, b.take(name, i, actions[i].Effect))
			continue
		}
		lines = append(lines, fmt.Sprintf("-A %s %s -j %s", name, b.match(Range, i, end-1), b.tree(actions, i, end)))
	}
	b.Lines = append(b.Lines, lines...)
	return name
}

// take is the rule that runs an action.
func (b *builder) take(chain string, number int, e pred.Effect) string {
	rule := append([]string{"-A", chain}, guard(e)...)
	rule = append(rule, b.match(Take, number, number), "-j", quoteAll(Words(b.family, e)))
	return strings.Join(rule, " ")
}

// Whole lays out a table that is left to netfilter: every chain under a name of the
// generation, entered from the built-in chains while the generation is live. The
// policy is a rule behind the chain, so that RETURN and goto end there. line writes a rule
// as the tool reads it, or says why that is not possible.
func Whole(t *ruleset.Table, gen uint32, pins string, line func(r *ruleset.Rule, chain string) (string, error)) (*Layout, error) {
	b := &builder{Layout: Layout{Table: t.Name, Exact: true}, gen: gen, pins: pins}
	names := map[string]string{}
	for i, c := range t.Chains {
		names[c.Name] = fmt.Sprintf("%s-%d", Prefix(gen), i)
		b.chain(names[c.Name])
	}
	for _, c := range t.Chains {
		if c.BuiltIn() {
			live := b.match(ActiveGen, 0, 0)
			b.add("-A %s %s -j %s", c.Name, live, names[c.Name])
			b.add("-A %s %s -j %s", c.Name, live, c.Base.Policy)
		}
		for _, r := range c.Rules {
			text, err := line(renamed(r, names), names[c.Name])
			if err != nil {
				return nil, err
			}
			b.Lines = append(b.Lines, text)
		}
	}
	return &b.Layout, nil
}

// renamed is the rule with its jump going to the chain's name in the kernel.
func renamed(r *ruleset.Rule, names map[string]string) *ruleset.Rule {
	j, ok := r.Target.(interface{ ChainName() string })
	if !ok {
		return r
	}
	out := *r
	out.Target = jump{r.Target, names[j.ChainName()]}
	return &out
}

// jump is a jump to a chain under another name.
type jump struct {
	ruleset.Target
	chain string
}

func (j jump) Word() string      { return j.chain }
func (j jump) Args() []string    { return []string{j.chain} }
func (j jump) ChainName() string { return j.chain }

func (b *builder) chain(name string) {
	b.Lines = append(b.Lines, ":"+name+" - [0:0]")
}

func (b *builder) add(format string, args ...any) {
	b.Lines = append(b.Lines, fmt.Sprintf(format, args...))
}

// match gives "-m bpf --object-pinned ..." for a program and asks for it once.
func (b *builder) match(kind Kind, lo, hi int) string {
	name := fmt.Sprintf("%s-%s", b.Table, kind)
	if kind == Take || kind == Range {
		name = fmt.Sprintf("%s-%d-%d", name, lo, hi)
	}
	found := false
	for i := len(b.Programs) - 1; i >= 0 && !found; i-- {
		found = b.Programs[i].Name == name
	}
	if !found {
		b.Programs = append(b.Programs, Program{Name: name, Kind: kind, Table: b.Table, Lo: uint16(lo), Hi: uint16(hi)})
	}
	return "-m bpf --object-pinned " + b.pins + "/" + name
}

func quoteAll(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if !plain(a) {
			out[i] = ruleset.Quoted(a)
		}
	}
	return strings.Join(out, " ")
}

// plain says whether an argument needs no quotes in restore text.
func plain(a string) bool {
	return a != "" && !strings.ContainsAny(a, " \t\n\"'\\#")
}

// Text is the restore text of several layouts, one table after the other.
func Text(layouts []*Layout) string {
	var b strings.Builder
	for _, l := range layouts {
		fmt.Fprintf(&b, "*%s\n%s\nCOMMIT\n", l.Table, strings.Join(chainsFirst(l.Lines), "\n"))
	}
	return b.String()
}

// chainsFirst puts chain lines before rules, as restore wants them declared.
func chainsFirst(lines []string) []string {
	out := make([]string, 0, len(lines))
	for _, chains := range []bool{true, false} {
		for _, l := range lines {
			if strings.HasPrefix(l, ":") == chains {
				out = append(out, l)
			}
		}
	}
	return out
}
