package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// not is the mark of a negated match in listings.
func not(negate bool) string {
	if negate {
		return "!"
	}
	return ""
}

// portName is a port as listings show it: a service name, without -n and if there
// is one.
func portName(names ruleset.Names, port uint16, proto string) string {
	if names != nil {
		if name, ok := names.Service(port, proto); ok {
			return name
		}
	}
	return fmt.Sprint(port)
}

// list is print_ports() of libxt_tcp.c and its sisters: " dpt:22", " spts:1:9".
func (r portRange) list(names ruleset.Names, label, proto string) string {
	switch {
	case r.lo == 0 && r.hi == 65535 && !r.negate:
		return ""
	case r.lo == r.hi:
		return fmt.Sprintf(" %s:%s%s", label, not(r.negate), portName(names, r.lo, proto))
	}
	return fmt.Sprintf(" %ss:%s%s:%s", label, not(r.negate), portName(names, r.lo, proto), portName(names, r.hi, proto))
}

func (p portPair) list(names ruleset.Names, proto string) string {
	return p.src.list(names, "spt", proto) + p.dst.list(names, "dpt", proto)
}

// List is tcp_print() of libxt_tcp.c.
func (m *tcp) List(names ruleset.Names) string {
	s := "tcp" + m.ports.list(names, "tcp")
	if m.option != 0 || m.negateOpt {
		s += fmt.Sprintf(" option=%s%d", not(m.negateOpt), m.option)
	}
	if m.mask == 0 && !m.negateFlags {
		return s
	}
	s += " flags:" + not(m.negateFlags)
	if names == nil {
		return s + fmt.Sprintf("0x%02X/0x%02X", m.mask, m.comp)
	}
	return s + printTCPFlags(m.mask) + "/" + printTCPFlags(m.comp)
}

// List is udp_print() of libxt_udp.c.
func (m *udp) List(names ruleset.Names) string { return "udp" + m.ports.list(names, "udp") }

// List is dccp_print() of libxt_dccp.c.
func (m *dccp) List(names ruleset.Names) string {
	s := "dccp" + m.ports.list(names, "dccp")
	if m.given["dccp-types"] {
		if m.negateTypes {
			s += " !"
		}
		s += " " + m.listTypes(names)
	}
	if m.given["dccp-option"] {
		s += fmt.Sprintf(" option=%s%d", not(m.negateOpt), m.option)
	}
	return s
}

// listTypes is print_types(): as numbers, INVALID is each of its types.
func (m *dccp) listTypes(names ruleset.Names) string {
	var list []string
	for i := range 16 {
		switch {
		case m.types>>i&1 == 0:
		case names == nil:
			list = append(list, fmt.Sprint(i))
		case i < len(dccpTypes):
			list = append(list, dccpTypes[i])
		}
	}
	return strings.Join(list, ",")
}

// List is sctp_print() of libxt_sctp.c.
func (m *sctp) List(names ruleset.Names) string {
	s := "sctp" + m.ports.list(names, "sctp")
	if !m.given["chunk-types"] {
		return s
	}
	if m.negateChunk {
		s += " !"
	}
	s += " " + sctpModes[m.mode] + " "
	if names != nil || m.printChunks(kindOf) == "ALL" || m.printChunks(kindOf) == "NONE" {
		return s + m.printChunks(kindOf)
	}
	return s + m.listChunks()
}

// listChunks is print_chunks() with numbers.
func (m *sctp) listChunks() string {
	var list []string
	for kind := range 256 {
		if m.chunks[kind/32]>>(kind%32)&1 == 0 {
			continue
		}
		text := fmt.Sprintf("0x%04X", kind)
		for _, c := range sctpChunks {
			if int(c.kind) == kind {
				text += m.printFlags(c.flags, c.kind)
			}
		}
		list = append(list, text)
	}
	return strings.Join(list, ",")
}

// List is __multiport_print_v1() of libxt_multiport.c.
func (m *multiport) List(names ruleset.Names) string {
	proto := portProtocols[m.proto]
	list := make([]string, len(m.ranges))
	for i, r := range m.ranges {
		list[i] = portName(names, r.lo, proto)
		if r.lo != r.hi {
			list[i] += ":" + portName(names, r.hi, proto)
		}
	}
	s := "multiport " + m.option + " "
	if m.negate {
		s += " !"
	}
	return s + strings.Join(list, ",")
}

// List is icmp_print() of libipt_icmp.c and icmp6_print() of libip6t_icmp6.c.
func (m *icmp) List(names ruleset.Names) string {
	s := "icmp"
	if m.proto == protoICMPv6 {
		s = "ipv6-icmp"
	}
	if names != nil {
		for _, n := range m.names {
			if n.kind == m.kind && n.codeLo == m.codeLo && n.codeHi == m.codeHi {
				return s + " " + not(m.negate) + n.name
			}
		}
	}
	if m.negate {
		s += " !"
	}
	s += fmt.Sprintf("type %d", m.kind)
	switch {
	case m.codeLo == m.codeHi:
		s += fmt.Sprintf(" code %d", m.codeLo)
	case m.codeLo != 0 || m.codeHi != 255:
		s += fmt.Sprintf(" codes %d-%d", m.codeLo, m.codeHi)
	}
	return s
}

// List is mh_print() of libip6t_mh.c.
func (m *mh) List(names ruleset.Names) string {
	if m.lo == 0 && m.hi == 255 && !m.negate {
		return "mh"
	}
	name := func(kind uint8) string {
		for _, n := range mhNames {
			if names != nil && n.kind == kind {
				return n.name
			}
		}
		return fmt.Sprint(kind)
	}
	s := "mh " + not(m.negate) + name(m.lo)
	if m.lo != m.hi {
		s += ":" + name(m.hi)
	}
	return s
}

// list is print_spis() and print_ids() of the extensions of IPsec and fragments.
func (r range32) list(label string) string {
	switch {
	case r.full() && !r.negate:
		return ""
	case r.lo == r.hi:
		return fmt.Sprintf("%s:%s%d", label, not(r.negate), r.lo)
	}
	return fmt.Sprintf("%ss:%s%d:%d", label, not(r.negate), r.lo, r.hi)
}

// spaced puts a space before a text that is not empty.
func spaced(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// List is esp_print() of libxt_esp.c.
func (m *esp) List(ruleset.Names) string { return "esp" + spaced(m.spi.list("spi")) }

// List is ah_print() of libipt_ah.c.
func (m *ah) List(ruleset.Names) string { return "ah " + m.spi.list("spi") }

// List is ah_print() of libip6t_ah.c.
func (m *ah6) List(ruleset.Names) string {
	s := "ah " + m.spi.list("spi")
	if m.length != 0 || m.negateLen {
		s += fmt.Sprintf("length:%s%d", not(m.negateLen), m.length)
	}
	if m.reserved {
		s += " reserved"
	}
	return s
}

// List is comp_print() of libxt_ipcomp.c.
func (m *ipcomp) List(ruleset.Names) string {
	s := "comp " + m.spi.list("spi")
	if m.given["compres"] {
		s += " reserved"
	}
	return s
}
