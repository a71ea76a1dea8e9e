package match

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// addressMatch is -s or -d. Long rulesets have many of them: they hold no pointers.
type addressMatch struct {
	addr, mask [16]byte // as in a packet
	of         pred.AddrField
	family     packet.Family
	negate     bool
}

// NewSource makes -s; addr and mask are of one family.
func NewSource(addr, mask netip.Addr, negate bool) ruleset.Match {
	return newAddress(pred.AddrSrc, addr, mask, negate)
}

// NewDestination makes -d; addr and mask are of one family.
func NewDestination(addr, mask netip.Addr, negate bool) ruleset.Match {
	return newAddress(pred.AddrDst, addr, mask, negate)
}

func newAddress(of pred.AddrField, addr, mask netip.Addr, negate bool) *addressMatch {
	m := &addressMatch{of: of, family: packet.IPv6, negate: negate}
	if addr.Is4() {
		m.family = packet.IPv4
		a, b := addr.As4(), mask.As4()
		copy(m.addr[:], a[:])
		copy(m.mask[:], b[:])
	} else {
		m.addr, m.mask = addr.As16(), mask.As16()
	}
	for i := range m.addr {
		m.addr[i] &= m.mask[i]
	}
	return m
}

// Word is "-s" or "-d".
func (m *addressMatch) Word() string {
	if m.of == pred.AddrDst {
		return "-d"
	}
	return "-s"
}

// Args is empty for "any address".
func (m *addressMatch) Args() []string { return ruleset.WordsOf(m.AppendText(nil)) }

// AppendText appends what iptables-save prints.
func (m *addressMatch) AppendText(b []byte) []byte {
	ones, prefix := onesOf(m.mask[:m.family.Bits()/8])
	if prefix && ones == 0 && !m.negate {
		return b
	}
	b = append(append(appendBang(b, m.negate), m.Word()...), ' ')
	b = append(appendAddr(b, addrOf(m.family, m.addr)), '/')
	if prefix {
		return strconv.AppendInt(b, int64(ones), 10)
	}
	return appendAddr(b, addrOf(m.family, m.mask))
}

// Check refuses nothing.
func (m *addressMatch) Check(*ruleset.Place) error { return nil }

// Eval compares the masked address (ip_packet_match(), ip6_packet_match()).
func (m *addressMatch) Eval(f *packet.Facts) pred.Answer {
	of := f.Src()
	if m.of == pred.AddrDst {
		of = f.Dst()
	}
	for i, b := range of.AsSlice() {
		if b&m.mask[i] != m.addr[i] {
			return pred.Bool(m.negate)
		}
	}
	return pred.Bool(!m.negate)
}

// Lower gives one Addr.
func (m *addressMatch) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Addr{Of: m.of, Value: m.addr, Mask: m.mask}, m.negate)
}

// AddrMask is an address with its mask, both of one family.
type AddrMask struct{ Addr, Mask netip.Addr }

// ParseAddresses reads the argument of -s and -d: "a,b/24,c/255.0.255.0". A host
// name gives as many addresses as it has. The addresses come masked.
//
// See xtables_ipparse_multiple() and xtables_ip6parse_multiple() (libxtables/xtables.c).
func ParseAddresses(family packet.Family, text string, r ruleset.Resolver) ([]AddrMask, error) {
	var all []AddrMask
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimLeft(part, " \t\n\v\f\r")
		if len(part) > 255 {
			return nil, ruleset.InWords(fmt.Errorf("a host name of %d characters is too long; give at most 255", len(part)), "Hostname too long")
		}
		host, maskText := part, ""
		if at := strings.LastIndexByte(part, '/'); at >= 0 {
			host, maskText = part[:at], part[at+1:]
		} else {
			maskText = fmt.Sprint(family.Bits())
		}
		mask, err := parseMask(family, maskText)
		if err != nil {
			return nil, err
		}
		if mask.IsUnspecified() {
			all = append(all, AddrMask{mask, mask}) // "any/0": the name is not looked up
			continue
		}
		addrs, err := hostAddrs(family, host, r)
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			all = append(all, AddrMask{addrOf(family, newAddress(pred.AddrSrc, a, mask, false).addr), mask})
		}
	}
	return all, nil
}

// parseMask reads what follows the slash: an address form or a number of bits.
func parseMask(family packet.Family, text string) (netip.Addr, error) {
	if family == packet.IPv6 {
		if a, ok := numericIPv6(text); ok {
			return a, nil
		}
	} else if a, ok := numericIPv4(text, true); ok {
		return a, nil
	}
	n, rest, ok := strtou(text)
	if !ok || rest != "" || n > uint64(family.Bits()) {
		return netip.Addr{}, ruleset.InWords(fmt.Errorf("invalid mask %q; give 0 to %d or an address", text, family.Bits()), "invalid mask `%s' specified", text)
	}
	return addrOf(family, prefixMask(int(n))), nil
}

// hostAddrs reads an address or asks for a host name.
func hostAddrs(family packet.Family, text string, r ruleset.Resolver) ([]netip.Addr, error) {
	if family == packet.IPv6 {
		if a, ok := numericIPv6(text); ok {
			return []netip.Addr{a}, nil
		}
	} else if a, ok := numericIPv4(text, false); ok {
		return []netip.Addr{a}, nil
	}
	if a, ok := inetAton(text); ok && family == packet.IPv4 {
		return []netip.Addr{a}, nil // getaddrinfo() takes the forms of inet_aton() for hosts
	}
	unknown := ruleset.InWords(fmt.Errorf("host/network %q not found; give a numeric %s address", text, family), "host/network `%s' not found", text)
	scoped, _ := netip.ParseAddr(text) // getaddrinfo() takes a scope for link-local addresses only
	if r == nil || text == "" || scoped.Zone() != "" && !scoped.IsLinkLocalUnicast() {
		return nil, unknown
	}
	found, err := r.Host(text, family)
	if err != nil || len(found) == 0 {
		return nil, unknown
	}
	addrs := make([]netip.Addr, len(found))
	for i, s := range found {
		a, err := netip.ParseAddr(s)
		if err != nil || a.BitLen() != family.Bits() {
			return nil, unknown
		}
		addrs[i] = a.WithZone("")
	}
	return addrs, nil
}

// numericIPv4 reads a dotted address as __numeric_to_ipaddr() does: octal and
// hexadecimal parts count, and unless it is a mask missing parts are zeros.
func numericIPv4(text string, mask bool) (netip.Addr, bool) {
	var b [4]byte
	if len(text) > 19 {
		text = text[:19]
	}
	parts := strings.SplitN(text, ".", 4)
	if mask && len(parts) != 4 {
		return netip.Addr{}, false
	}
	for i, part := range parts {
		v, rest, ok := strtou(part)
		if !ok || rest != "" || v > 255 {
			return netip.Addr{}, false
		}
		b[i] = byte(v)
	}
	return netip.AddrFrom4(b), true
}

// numericIPv6 reads an address as inet_pton() does.
func numericIPv6(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a, true
}
