package target

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// parseAddr reads an address as inet_pton() does.
func parseAddr(s string, family packet.Family) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4() != (family == packet.IPv4) {
		return netip.Addr{}, false
	}
	return a, true
}

// parseNumeric reads an address as getaddrinfo() with AI_NUMERICHOST does: IPv4
// in all the forms of inet_aton().
func parseNumeric(s string, family packet.Family) (netip.Addr, bool) {
	if family == packet.IPv6 {
		s, _, _ = strings.Cut(s, "%")
		return parseAddr(s, family)
	}
	var v uint64
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	for i, p := range parts {
		limit, shift := uint64(255), 24-8*i
		if i == len(parts)-1 {
			limit, shift = 1<<(32-8*i)-1, 0
		}
		n, rest, ok := leadingNumber(p)
		if !ok || rest != "" || n > limit || p[0] < '0' || p[0] > '9' {
			return netip.Addr{}, false
		}
		v |= n << shift
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// host reads an address or the name of a host that has one address
// (xtopt_parse_host(), libxtables).
func host(env *ruleset.Env, s string) (netip.Addr, error) {
	if a, ok := parseNumeric(s, env.Family); ok {
		return a, nil
	}
	if env.Resolve == nil {
		return netip.Addr{}, ruleset.InWords(fmt.Errorf("%q is not an %s address", s, env.Family), "getaddrinfo: Address family for hostname not supported\n")
	}
	texts, err := env.Resolve.Host(s, env.Family)
	if err != nil {
		return netip.Addr{}, ruleset.InWords(fmt.Errorf("host %q is not found: %w", s, err), "getaddrinfo: Name or service not known\n")
	}
	var found netip.Addr
	for _, t := range texts {
		a, ok := parseAddr(t, env.Family)
		if !ok || found.IsValid() && found != a {
			return netip.Addr{}, ruleset.InWords(fmt.Errorf("host %q has more than one address; give the address", s), "%s resolves to more than one address\n", s)
		}
		found = a
	}
	if !found.IsValid() {
		return netip.Addr{}, ruleset.InWords(fmt.Errorf("host %q has no %s address", s, env.Family), "getaddrinfo: Name or service not known\n")
	}
	return found, nil
}

// notPrefix is what a mask with holes leaves as prefix length: -1 in 8 bits.
const notPrefix = 255

// prefixLen reads a prefix length, or a mask in full (xtopt_parse_plen(),
// libxtables). A mask with holes gives notPrefix.
func prefixLen(s string, family packet.Family) (int, error) {
	if n, err := number(s, 0, uint64(family.Bits())); err == nil {
		return int(n), nil
	}
	a, ok := parseNumeric(s, family)
	if !ok {
		return 0, ruleset.InWordsOf(fmt.Errorf("%q is neither a prefix length from 0 to %d nor a mask", s, family.Bits()), "bad value for option \"--%s\", neither a valid network mask nor valid CIDR (0-%d).\n", ruleset.OptionName, family.Bits())
	}
	n, done := 0, false
	for _, b := range a.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			set := b>>bit&1 == 1
			if set && done {
				return notPrefix, nil
			}
			done = !set
			if set {
				n++
			}
		}
	}
	return n, nil
}

// hostPrefix reads ADDRESS or ADDRESS/PREFIX (xtopt_parse_hostmask(), libxtables).
func hostPrefix(env *ruleset.Env, s string) (netip.Addr, int, error) {
	at, length, slash := strings.Cut(s, "/")
	a, err := host(env, at)
	if err != nil || !slash {
		return a, env.Family.Bits(), err
	}
	n, err := prefixLen(length, env.Family)
	return a, n, err
}

// addrText prints an address as inet_ntop() of glibc does: netip writes ::1.2.3.4
// in groups.
func addrText(a netip.Addr) string {
	if a.Is4() || a.Is4In6() {
		return a.String()
	}
	b := a.As16()
	for _, high := range b[:12] {
		if high != 0 {
			return a.String()
		}
	}
	if b[12] == 0 && b[13] == 0 {
		return a.String()
	}
	return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
}

// service reads the name of a port of any protocol (getservbyname(name, NULL)).
func service(env *ruleset.Env, name string) (uint16, bool) {
	if env.Resolve == nil {
		return 0, false
	}
	for _, proto := range []string{"", "tcp", "udp", "sctp", "dccp"} {
		if port, ok := env.Resolve.Port(name, proto); ok {
			return port, true
		}
	}
	return 0, false
}
