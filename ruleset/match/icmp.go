package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// icmpKind is -m icmp.
var icmpKind = &ruleset.MatchKind{
	Name:     "icmp",
	Protos:   []uint8{protoICMP},
	Families: ruleset.OnlyIPv4,
	Doc:      "type and code of ICMP; needs -p icmp",
	Options: []ruleset.Option{
		{Name: "icmp-type", NArgs: 1, Negate: true, Help: "a name such as echo-request, any, or type[/code[:code]]"},
	},
	New: func() ruleset.MatchBuilder {
		return &icmp{word: "icmp", option: "icmp-type", title: "ICMP", proto: protoICMP, names: icmpNames, any: true}
	},
}

// icmp is -m icmp and -m icmp6.
type icmp struct {
	given
	word, option   string
	title          string // in messages
	proto          uint8
	names          []icmpName
	any            bool // type 255 stands for every type
	kind           uint8
	codeLo, codeHi uint8
	negate         bool
}

type icmpName struct {
	name           string
	kind           uint8
	codeLo, codeHi uint8
}

var icmpNames = []icmpName{
	{"any", 255, 0, 255},
	{"echo-reply", 0, 0, 255}, {"pong", 0, 0, 255},
	{"destination-unreachable", 3, 0, 255}, {"network-unreachable", 3, 0, 0}, {"host-unreachable", 3, 1, 1},
	{"protocol-unreachable", 3, 2, 2}, {"port-unreachable", 3, 3, 3}, {"fragmentation-needed", 3, 4, 4},
	{"source-route-failed", 3, 5, 5}, {"network-unknown", 3, 6, 6}, {"host-unknown", 3, 7, 7},
	{"network-prohibited", 3, 9, 9}, {"host-prohibited", 3, 10, 10}, {"TOS-network-unreachable", 3, 11, 11},
	{"TOS-host-unreachable", 3, 12, 12}, {"communication-prohibited", 3, 13, 13},
	{"host-precedence-violation", 3, 14, 14}, {"precedence-cutoff", 3, 15, 15},
	{"source-quench", 4, 0, 255},
	{"redirect", 5, 0, 255}, {"network-redirect", 5, 0, 0}, {"host-redirect", 5, 1, 1},
	{"TOS-network-redirect", 5, 2, 2}, {"TOS-host-redirect", 5, 3, 3},
	{"echo-request", 8, 0, 255}, {"ping", 8, 0, 255},
	{"router-advertisement", 9, 0, 255}, {"router-solicitation", 10, 0, 255},
	{"time-exceeded", 11, 0, 255}, {"ttl-exceeded", 11, 0, 255},
	{"ttl-zero-during-transit", 11, 0, 0}, {"ttl-zero-during-reassembly", 11, 1, 1},
	{"parameter-problem", 12, 0, 255}, {"ip-header-bad", 12, 0, 0}, {"required-option-missing", 12, 1, 1},
	{"timestamp-request", 13, 0, 255}, {"timestamp-reply", 14, 0, 255},
	{"address-mask-request", 17, 0, 255}, {"address-mask-reply", 18, 0, 255},
}

// HelpLines are the names of types, behind each its other names, and below it those of its codes:
// firewalld reads what may be blocked from them (print_types(), extensions/libxt_icmp.h).
func (m *icmp) HelpLines() []string {
	lines := []string{"Valid " + m.title + " Types:"}
	for i, n := range m.names {
		switch {
		case i == 0 || n.kind != m.names[i-1].kind:
			lines = append(lines, n.name)
		case n.codeLo == m.names[i-1].codeLo && n.codeHi == m.names[i-1].codeHi:
			lines[len(lines)-1] += " (" + n.name + ")"
		default:
			lines = append(lines, "   "+n.name)
		}
	}
	return lines
}

// Set takes one option.
func (m *icmp) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	m.negate = negate
	return m.parse(args[0])
}

// parse reads a name, of which a prefix that is not ambiguous will do, or numbers
// (__parse_icmp() of libxt_icmp.h).
func (m *icmp) parse(arg string) error {
	found := ""
	for _, n := range m.names {
		if len(arg) > len(n.name) || !strings.EqualFold(n.name[:len(arg)], arg) {
			continue
		}
		if found != "" {
			return ruleset.InWords(fmt.Errorf("--%s: %q is ambiguous; give %s or %s", m.option, arg, found, n.name), "Ambiguous %s type `%s': `%s' or `%s'?", m.title, arg, found, n.name)
		}
		found = n.name
		m.kind, m.codeLo, m.codeHi = n.kind, n.codeLo, n.codeHi
	}
	if found != "" {
		return nil
	}
	return m.parseNumbers(arg)
}

func (m *icmp) parseNumbers(arg string) error {
	kinds, codes, coded := strings.Cut(arg, "/")
	lo, hi, ok := byteRange(kinds)
	if !ok {
		return ruleset.InWords(fmt.Errorf("--%s: unknown type %q; give a name or a number from 0 to 255", m.option, arg), "Unknown %s type `%s'", m.title, arg)
	}
	if lo != hi {
		return ruleset.InWords(fmt.Errorf("--%s: %q is a range of types; write one rule for each type", m.option, kinds), "%s type range not supported", m.title)
	}
	m.kind, m.codeLo, m.codeHi = lo, 0, 255
	if !coded {
		return nil
	}
	if m.codeLo, m.codeHi, ok = byteRange(codes); !ok {
		return ruleset.InWords(fmt.Errorf("--%s: unknown code %q; give a number from 0 to 255 or a range lo:hi", m.option, codes), "Unknown %s code `%s'", m.title, arg)
	}
	return nil
}

// byteRange reads "n" or "lo:hi", each at most 255.
func byteRange(s string) (lo, hi uint8, ok bool) {
	from, to, isRange := strings.Cut(s, ":")
	v, rest, ok := strtou(from)
	if !ok || rest != "" || v > 255 {
		return 0, 0, false
	}
	if !isRange {
		return uint8(v), uint8(v), true
	}
	w, rest, ok := strtou(to)
	return uint8(v), uint8(w), ok && rest == "" && w <= 255
}

// Done wants the type.
func (m *icmp) Done(*ruleset.Env) error { return m.need(m.option) }

// Match gives the match itself.
func (m *icmp) Match() ruleset.Match { return m }

// Word is "icmp" or "icmp6".
func (m *icmp) Word() string { return m.word }

// Args prints as icmp_save() and icmp6_save(): of a range of codes the first only.
func (m *icmp) Args() []string {
	kind := fmt.Sprint(m.kind)
	switch {
	case m.any && m.kind == 255:
		kind = "any"
	case m.codeLo != 0 || m.codeHi != 255:
		kind = fmt.Sprintf("%d/%d", m.kind, m.codeLo)
	}
	return append(append([]string{"-m", m.word}, bang(m.negate)...), "--"+m.option, kind)
}

// ExactArgs has all codes of a range.
func (m *icmp) ExactArgs() []string {
	every := m.codeLo == 0 && m.codeHi == 255
	if every || m.codeLo == m.codeHi && !(m.any && m.kind == 255) {
		return nil
	}
	args := m.Args()
	args[len(args)-1] = fmt.Sprintf("%d/%d:%d", m.kind, m.codeLo, m.codeHi)
	return args
}

// Check wants -p of the protocol.
func (m *icmp) Check(in *ruleset.Place) error { return needProtocol(in, m.proto) }

// Eval is icmp_match() and icmp6_match() (net/netfilter/xt_tcpudp.c since Linux
// 6.3, ip_tables.c and ip6_tables.c before): 8 bytes must be there.
func (m *icmp) Eval(f *packet.Facts) pred.Answer {
	ic, a := l4Header(f, 8)
	if a != pred.Yes {
		return a
	}
	is := m.any && m.kind == 255 || ic[0] == m.kind && m.codeLo <= ic[1] && ic[1] <= m.codeHi
	return answer(is, m.negate)
}

// Lower gives the same in predicates.
func (m *icmp) Lower(*ruleset.Place) pred.Pred {
	var is pred.Pred = pred.Eq(l4Byte(0), uint32(m.kind))
	switch {
	case m.any && m.kind == 255:
		is = pred.Const(pred.Yes)
	case m.codeLo != 0 || m.codeHi != 255:
		is = pred.And{is, pred.In(l4Byte(1), uint32(m.codeLo), uint32(m.codeHi))}
	}
	return simplify(append(lowerL4Header(8), pred.Negated(is, m.negate)))
}
