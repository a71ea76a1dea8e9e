package iptables

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// List writes a table as iptables-legacy 1.8.9 -L does (list_entries() and
// print_firewall() in iptables/iptables.c and ip6tables.c). A chain that is not there
// is an error.
func List(w io.Writer, t *ruleset.Table, o ListOptions) error {
	l := &lister{out: bufio.NewWriter(w), o: o}
	if o.Names == nil {
		l.o.Numeric = true
	}
	if o.Chain != "" && t.Chain(o.Chain) == nil {
		return &ruleset.Error{Thing: o.Chain, What: "no such chain in table " + t.Name}
	}
	refs := o.References
	if refs == nil {
		all := references(t)
		refs = func(chain string) int { return all[chain] }
	}
	first := true
	for _, c := range t.Chains {
		if o.Chain != "" && o.Chain != c.Name {
			continue
		}
		if !first {
			l.out.WriteByte('\n')
		}
		first = false
		if o.Rule == 0 {
			l.header(c, refs(c.Name))
		}
		for i, r := range c.Rules {
			if o.Rule == 0 || o.Rule == i+1 {
				l.rule(i+1, r)
			}
		}
	}
	return l.out.Flush()
}

// references counts the rules that jump to each chain.
func references(t *ruleset.Table) map[string]int {
	refs := map[string]int{}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			if name, ok := jumpChain(r.Target); ok {
				refs[name]++
			}
		}
	}
	return refs
}

// lister writes one listing.
type lister struct {
	out *bufio.Writer
	o   ListOptions
}

// names is what words get: nil for -n.
func (l *lister) names() ruleset.Names {
	if l.o.Numeric {
		return nil
	}
	return l.o.Names
}

// header writes the line of the chain and the names of the columns.
func (l *lister) header(c *ruleset.Chain, refs int) {
	switch {
	case !c.BuiltIn():
		fmt.Fprintf(l.out, "Chain %s (%d references)\n", c.Name, refs)
	case l.o.Verbose:
		fmt.Fprintf(l.out, "Chain %s (policy %s %s packets, %s bytes)\n", c.Name, tables.PolicyOf(c),
			l.number(c.Counters.Packets), l.number(c.Counters.Bytes))
	default:
		fmt.Fprintf(l.out, "Chain %s (policy %s)\n", c.Name, tables.PolicyOf(c))
	}
	if l.o.LineNumbers {
		fmt.Fprintf(l.out, "%-4s ", "num")
	}
	if l.o.Verbose && l.o.Exact {
		fmt.Fprintf(l.out, "%8s %10s ", "pkts", "bytes")
	} else if l.o.Verbose {
		fmt.Fprintf(l.out, "%5s %5s ", "pkts", "bytes")
	}
	fmt.Fprintf(l.out, "%-9s  prot opt", "target")
	if l.o.Verbose {
		fmt.Fprintf(l.out, " %-6s %-6s ", "in", "out")
	}
	fmt.Fprintf(l.out, " %-19s  %-19s \n", "source", "destination")
}

// number is a counter without padding: with -x in full, else with K, M, G or T above
// 99999 (xtables_print_num() in libxtables/xtables.c).
func (l *lister) number(n uint64) string {
	if l.o.Exact || n <= 99999 {
		return fmt.Sprint(n)
	}
	n = (n + 500) / 1000
	for _, unit := range "KMG" {
		if n <= 9999 {
			return fmt.Sprintf("%d%c", n, unit)
		}
		n = (n + 500) / 1000
	}
	return fmt.Sprintf("%dT", n)
}

func (l *lister) column(n uint64) {
	width := 5
	if l.o.Exact {
		width = 8
	}
	fmt.Fprintf(l.out, "%*s ", width, l.number(n))
}

// base is what the columns show of the matches of a rule.
type base struct {
	src, dst string // as -s prints it
	notSrc   bool
	notDst   bool
	in, out  string
	proto    uint8
	notProto bool
	frag     string
	others   []ruleset.Match
}

// rule writes the line of a rule.
func (l *lister) rule(number int, r *ruleset.Rule) {
	b := l.baseOf(r)
	if l.o.LineNumbers {
		fmt.Fprintf(l.out, "%-4d ", number)
	}
	if l.o.Verbose {
		l.column(r.Counters.Packets)
		l.column(r.Counters.Bytes)
	}
	fmt.Fprintf(l.out, "%-9s %s%-4s %s ", targetName(r), mark(b.notProto), l.proto(b.proto), b.frag)
	if l.o.Verbose {
		fmt.Fprintf(l.out, " %-6s %-6s ", b.in, b.out)
	}
	fmt.Fprintf(l.out, "%s%-19s %s%-19s ", mark(b.notSrc), l.address(b.src), mark(b.notDst), l.address(b.dst))
	l.words(&b, r)
}

// words ends the line of a rule with what its words say.
func (l *lister) words(b *base, r *ruleset.Rule) {
	if r.Goto {
		l.out.WriteString("[goto] ")
	}
	for _, m := range b.others {
		l.word(m)
	}
	if r.Target != nil {
		l.word(r.Target)
	}
	l.out.WriteByte('\n')
}

// targetName is the name in the kernel's entry, which an alias does not change.
func targetName(r *ruleset.Rule) string {
	if r.Target == nil {
		return ""
	}
	if t, ok := r.Target.(interface{ ListName() string }); ok {
		return t.ListName()
	}
	return r.Target.Word()
}

func (l *lister) word(w any) {
	if s, ok := w.(ruleset.Lister); ok {
		text := s.List(l.names())
		if _, joined := w.(interface{ ListJoined() bool }); !joined && text != "" {
			l.out.WriteByte(' ')
		}
		l.out.WriteString(text)
	}
}

func mark(negate bool) string {
	if negate {
		return "!"
	}
	return " "
}

// baseOf sorts the base options of a rule from its other matches.
func (l *lister) baseOf(r *ruleset.Rule) base {
	nothing := "any"
	if l.o.Numeric {
		nothing = "*"
	}
	b := base{in: nothing, out: nothing, frag: "--"}
	for _, m := range r.Matches {
		args := m.Args()
		switch m.Word() {
		case "-s":
			b.src, b.notSrc = addressOf(args)
		case "-d":
			b.dst, b.notDst = addressOf(args)
		case "-i":
			b.in = ifaceName(m)
		case "-o":
			b.out = ifaceName(m)
		case "-p":
			b.proto, b.notProto = m.(interface{ Protocol() (uint8, bool) }).Protocol()
		case "-f":
			b.frag = "-f"
			if args[0] == "!" {
				b.frag = "!f"
			}
		default:
			b.others = append(b.others, m)
		}
	}
	return b
}

func addressOf(args []string) (text string, negate bool) {
	if len(args) == 0 {
		return "", false
	}
	return args[len(args)-1], args[0] == "!"
}

func ifaceName(m ruleset.Match) string {
	name, negate := m.(interface{ Interface() (string, bool) }).Interface()
	if negate {
		return "!" + name
	}
	return name
}

// proto is the column of the protocol.
func (l *lister) proto(number uint8) string {
	if l.o.Numeric {
		return fmt.Sprint(number)
	}
	r, _ := l.o.Names.(ruleset.Resolver)
	if name, ok := match.ProtocolName(number, r); ok {
		return name
	}
	return fmt.Sprint(number)
}

// address is the column of an address (ipv4_addr_to_string() and
// ipv6_addr_to_string() in iptables/xshared.c).
func (l *lister) address(text string) string {
	v6 := l.o.Family == packet.IPv6
	if text == "" {
		text = "0.0.0.0/0"
		if v6 {
			text = "::/0"
		}
	}
	host, mask, _ := strings.Cut(text, "/")
	addr, _ := netip.ParseAddr(host)
	if !l.o.Numeric {
		if v6 && addr.IsUnspecified() || !v6 && mask == "0" {
			return "anywhere"
		}
		if name, ok := l.o.Names.Address(addr); ok {
			host = name
		}
	}
	if v6 && mask == "128" || !v6 && mask == "32" {
		return host
	}
	return host + "/" + mask
}
