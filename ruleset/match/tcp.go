package match

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// tcpKind is -m tcp.
var tcpKind = &ruleset.MatchKind{
	Name:     "tcp",
	Protos:   []uint8{protoTCP},
	Families: ruleset.Both,
	Doc:      "ports, flags and options of TCP; needs -p tcp",
	Options: append([]ruleset.Option{
		{Name: "syn", Negate: true, Help: "SYN is set, RST, ACK and FIN are not"},
		{Name: "tcp-flags", NArgs: 2, Negate: true, Help: "of the flags in the first list exactly those in the second are set"},
		{Name: "tcp-option", NArgs: 1, Negate: true, Help: "the option of this number is present"},
	}, portOptions...),
	New: func() ruleset.MatchBuilder { return &tcp{ports: portPair{anyPort, anyPort}} },
}

// tcp is -m tcp.
type tcp struct {
	given
	ports       portPair
	mask, comp  uint8
	negateFlags bool
	option      uint8 // 0: not asked
	negateOpt   bool
}

var tcpFlags = []struct {
	name string
	bits uint8
}{
	{"FIN", 0x01}, {"SYN", 0x02}, {"RST", 0x04}, {"PSH", 0x08}, {"ACK", 0x10}, {"URG", 0x20}, {"ALL", 0x3f}, {"NONE", 0},
}

// parseTCPFlags reads a list of flag names.
func parseTCPFlags(list string) (flags uint8, err error) {
next:
	for _, name := range splitList(list) {
		for _, f := range tcpFlags {
			if strings.EqualFold(f.name, name) {
				flags |= f.bits
				continue next
			}
		}
		return 0, ruleset.InWords(fmt.Errorf("--tcp-flags: unknown TCP flag %q; give SYN, ACK, FIN, RST, URG, PSH, ALL or NONE", name), "Unknown TCP flag `%s'", name)
	}
	return flags, nil
}

// splitList splits at commas as strtok() does: empty parts do not count.
func splitList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func printTCPFlags(flags uint8) string {
	var names []string
	for _, f := range tcpFlags[:6] {
		if flags&f.bits != 0 {
			names = append(names, f.name)
		}
	}
	if names == nil {
		return "NONE"
	}
	return strings.Join(names, ",")
}

// Set takes one option.
func (m *tcp) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	mine, err := m.ports.set(&m.given, option, negate, func() (lo, hi uint16, err error) {
		return servicePorts(env, option, args[0], "tcp")
	})
	switch {
	case mine:
		return err
	case option == "syn":
		return m.setFlags("SYN,RST,ACK,FIN", "SYN", negate)
	case option == "tcp-flags":
		return m.setFlags(args[0], args[1], negate)
	}
	if err := m.once("tcp-option"); err != nil {
		return err
	}
	v, err := number(option, args[0], 1, 255)
	m.option, m.negateOpt = uint8(v), negate
	return err
}

func (m *tcp) setFlags(mask, comp string, negate bool) (err error) {
	if m.given["flags"] {
		return ruleset.InWords(fmt.Errorf("--syn and --tcp-flags can be used once in all"), "Only one of `--syn' or `--tcp-flags'  allowed")
	}
	if err = m.once("flags"); err != nil {
		return err
	}
	if m.mask, err = parseTCPFlags(mask); err != nil {
		return err
	}
	m.comp, err = parseTCPFlags(comp)
	m.negateFlags = negate
	return err
}

// Done is called after the last option.
func (m *tcp) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *tcp) Match() ruleset.Match { return m }

// AsksSYN says whether the SYN flag must be set (find_syn_match(), net/netfilter/xt_TCPMSS.c).
func (m *tcp) AsksSYN() bool { return m.comp&0x02 != 0 && !m.negateFlags }

// Word is "tcp".
func (m *tcp) Word() string { return "tcp" }

// Args prints as tcp_save() of libxt_tcp.c: a port range that holds every port is
// left out even when it is negated.
func (m *tcp) Args() []string { return ruleset.WordsOf(m.AppendText(nil)) }

// AppendText appends what iptables-save prints.
func (m *tcp) AppendText(b []byte) []byte {
	b = append(b, "-m tcp"...)
	if !m.ports.src.full() {
		b = m.ports.src.appendText(b, "--sport")
	}
	if !m.ports.dst.full() {
		b = m.ports.dst.appendText(b, "--dport")
	}
	if m.option != 0 {
		b = append(appendBang(append(b, ' '), m.negateOpt), "--tcp-option "...)
		b = strconv.AppendUint(b, uint64(m.option), 10)
	}
	if m.mask != 0 || m.negateFlags {
		b = append(appendBang(append(b, ' '), m.negateFlags), "--tcp-flags "...)
		b = append(append(append(b, printTCPFlags(m.mask)...), ' '), printTCPFlags(m.comp)...)
	}
	return b
}

// ExactArgs has a negated range of all ports and flags that no packet has, too: they
// match nothing.
func (m *tcp) ExactArgs() []string {
	if m.mask != 0 || m.comp == 0 || m.negateFlags {
		return m.ports.exact(m.Args)
	}
	args := append(m.Args(), "--tcp-flags", "NONE", printTCPFlags(m.comp))
	if exact := m.ports.exact(func() []string { return args }); exact != nil {
		return exact
	}
	return args
}

// Check wants -p tcp.
func (m *tcp) Check(in *ruleset.Place) error { return needProtocol(in, protoTCP) }

// Eval is tcp_mt() of net/netfilter/xt_tcpudp.c: a fragment that begins 8 bytes in
// is dropped, because it could write over the flags.
func (m *tcp) Eval(f *packet.Facts) pred.Answer {
	if f.FragOff == 1 {
		return pred.Hotdrop
	}
	th, a := l4Header(f, 20)
	if a != pred.Yes {
		return a
	}
	if !m.ports.has(th) || (th[13]&m.mask == m.comp) == m.negateFlags {
		return pred.No
	}
	if m.option == 0 {
		return pred.Yes
	}
	return pred.Eval(pred.Negated(pred.TCPOption{Kind: m.option}, m.negateOpt), f)
}

// tcpHeaders ask for the header, by family: of IPv6 the offset of a fragment counts in bytes,
// and none begins at 1.
var tcpHeaders = map[packet.Family]pred.Pred{
	packet.IPv4: pred.Header{Len: 20, HotFragment: true},
	packet.IPv6: pred.Header{Len: 20},
}

// Lower gives the same in predicates.
func (m *tcp) Lower(in *ruleset.Place) pred.Pred {
	p := append(make(pred.And, 0, 5), tcpHeaders[in.Family])
	p = append(p, m.ports.src.lower(0), m.ports.dst.lower(2))
	if m.mask != 0 || m.comp != 0 || m.negateFlags {
		p = append(p, pred.Negated(pred.Masked(l4Byte(13), uint32(m.mask), uint32(m.comp)), m.negateFlags))
	}
	if m.option != 0 {
		p = append(p, pred.Negated(pred.TCPOption{Kind: m.option}, m.negateOpt))
	}
	return simplify(p)
}
