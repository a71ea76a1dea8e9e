// Package theirs tells what iptables-legacy and iptables-nft hold in this network
// namespace beside bpftables.
//
// In: the tables of ip_tables and nf_tables, read from the kernel without starting a
// program. Out: for each table what it holds that is not ours, and its text. A packet is
// accepted if both we and they accept it, so what they hold has to be told to users.
//
//	n := theirs.Open(packet.IPv4, pins, env)
//	held, err := n.Holding("filter")
//	if len(held) > 0 {
//		fmt.Println(held[0]) // iptables-legacy: table filter, 3 rules
//	}
package theirs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Netfilter is the tables of iptables of one family in this namespace, as they are when
// they are first asked for.
type Netfilter struct {
	family packet.Family
	pins   string
	env    []string
	tools  []*tool.Tool // nil until asked for
	chains []*nftables.Chain
	looked bool // at the chains
}

// Open gives those of the namespace of the thread. pins is the directory of our pins: rules
// that use one are ours. env says where tools are looked for.
func Open(family packet.Family, pins string, env []string) *Netfilter {
	return &Netfilter{family: family, pins: pins, env: env}
}

// Held is what a table holds that is not ours.
type Held struct {
	Variant string // tool.Legacy or tool.NFT
	Family  packet.Family
	Table   string
	Rules   int
	Chains  int      // made by users
	Drops   []string // built-in chains whose policy is DROP
	Odd     []string // what iptables has not made, and cannot print
	Ours    bool     // it also has rules of ours
}

func (h *Held) empty() bool { return h.Rules+h.Chains+len(h.Drops)+len(h.Odd) == 0 }

// Tool is how people call the tool that shows the table.
func (h *Held) Tool() string {
	if h.Family == packet.IPv6 {
		return "ip6tables-" + h.Variant
	}
	return "iptables-" + h.Variant
}

// String is one line for people.
func (h *Held) String() string {
	parts := []string{h.Tool() + ": table " + h.Table, count(h.Rules, "rule")}
	if h.Chains > 0 {
		parts = append(parts, count(h.Chains, "chain"))
	}
	if len(h.Drops) > 0 {
		parts = append(parts, "policy DROP of "+strings.Join(h.Drops, " "))
	}
	if len(h.Odd) > 0 {
		parts = append(parts, "and of nft "+strings.Join(h.Odd, ", "))
	}
	return strings.Join(parts, ", ")
}

func count(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// Holding gives what a table holds in either variant, those of iptables-legacy first;
// nothing where it holds only what is ours, or what every new table holds.
func (n *Netfilter) Holding(table string) ([]*Held, error) {
	var out []*Held
	for _, look := range []func(string) (*Held, error){n.legacy, n.nft} {
		h, err := look(table)
		if err != nil {
			return nil, err
		}
		if h != nil && !h.empty() {
			out = append(out, h)
		}
	}
	return out, nil
}

// order is the order in which the tables stand at a hook, and in which they are told.
var order = []string{"raw", "mangle", "nat", "filter", "security"}

// All is Holding for every table.
func (n *Netfilter) All() ([]*Held, error) {
	var out []*Held
	for _, table := range order {
		h, err := n.Holding(table)
		if err != nil {
			return nil, err
		}
		out = append(out, h...)
	}
	return out, nil
}

// Tool finds the tool of a variant; its error wraps tool.ErrMissing where the host does
// not have it.
func (n *Netfilter) Tool(variant string) (*tool.Tool, error) {
	if n.tools == nil {
		var err error
		if n.tools, err = tool.Variants(n.family, n.env); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(n.tools, func(t *tool.Tool) bool { return t.Variant() == variant })
	if i < 0 {
		h := Held{Variant: variant, Family: n.family}
		return nil, fmt.Errorf("%s: %w", h.Tool(), tool.ErrMissing)
	}
	return n.tools[i], nil
}

// Host is the tool that the host's iptables stands for.
func (n *Netfilter) Host() (*tool.Tool, error) {
	found, err := tool.Find(n.family, n.env)
	if err != nil {
		return nil, err
	}
	return n.Tool(found.Variant())
}

// Text is what the tool prints of a table with counters, without what is ours; "" when
// there is no such table. The error says that the kernel holds more than that.
func (n *Netfilter) Text(h *Held) (string, error) {
	if len(h.Odd) > 0 {
		return "", fmt.Errorf("%s: table %s holds what iptables cannot print: %s; see it with 'nft list table', and remove it there", h.Tool(), h.Table, strings.Join(h.Odd, ", "))
	}
	t, err := n.Tool(h.Variant)
	if err != nil {
		return "", err
	}
	saved, err := t.Save(h.Table)
	if err != nil {
		return "", err
	}
	text, rules := strip(saved, n.pins)
	if rules != h.Rules {
		return "", fmt.Errorf("%s: table %s: %d rules are printed, the kernel holds %d; either they are being changed, then try again, or it cannot print some: see 'nft list table'", h.Tool(), h.Table, rules, h.Rules)
	}
	return text, nil
}

// strip takes what is ours out of saved text.
func strip(saved, pins string) (text string, rules int) {
	var out strings.Builder
	for _, line := range strings.SplitAfter(saved, "\n") {
		isRule, ours := Helper(line, pins)
		if ours {
			continue
		}
		if isRule {
			rules++
		}
		out.WriteString(line)
	}
	return out.String(), rules
}

// Helper says whether a line of saved text adds a rule, and whether it is one of those
// that netfilter runs for us, or a chain of them.
func Helper(line, pins string) (isRule, ours bool) {
	if name, ok := strings.CutPrefix(line, ":"); ok {
		name, _, _ = strings.Cut(name, " ")
		return false, ourChain(name)
	}
	_, rule, ok := strings.Cut(line, "-A ")
	if !ok || strings.HasPrefix(line, "#") {
		return false, false
	}
	chain, _, _ := strings.Cut(rule, " ")
	return true, ourChain(strings.TrimSpace(chain)) || strings.Contains(rule, "--object-pinned "+pins+"/")
}

// ourChain says whether a chain is of a generation of ours, by its name.
func ourChain(name string) bool {
	_, ours := shim.Generation(name)
	return ours
}
