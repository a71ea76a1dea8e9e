package match

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// hostMask is an address with the mask that says which bits of it count. IPv4
// uses the first 4 bytes.
type hostMask struct{ addr, mask [16]byte }

// parseHostMask reads "host[/mask]" as XTTYPE_HOSTMASK of libxtables does: the
// address keeps its bits outside of the mask.
func parseHostMask(env *ruleset.Env, option, arg string) (h hostMask, err error) {
	host, mask, masked := strings.Cut(arg, "/")
	a, err := parseHost(env, option, host)
	if err != nil {
		return h, err
	}
	h.addr = bytes16(a)
	plen := env.Family.Bits()
	if masked {
		if plen, err = parsePrefix(env.Family, option, mask); err != nil {
			return h, err
		}
	}
	if plen > env.Family.Bits() { // a mask with holes, see parsePrefix
		plen = env.Family.Bits()
	}
	h.mask = prefixMask(plen)
	return h, nil
}

// parseHost reads one address or host name (XTTYPE_HOST).
func parseHost(env *ruleset.Env, option, arg string) (netip.Addr, error) {
	if a, ok := numericHost(env.Family, arg); ok {
		return a, nil
	}
	none := ruleset.InWords(fmt.Errorf("--%s: %q is not an %s address or a known host", option, arg, env.Family), "getaddrinfo: %s\n", noHost(arg))
	if env.Resolve == nil || arg == "" {
		return netip.Addr{}, none
	}
	found, err := env.Resolve.Host(arg, env.Family)
	if err != nil || len(found) == 0 {
		return netip.Addr{}, none
	}
	for _, f := range found[1:] {
		if f != found[0] {
			return netip.Addr{}, ruleset.InWords(fmt.Errorf("--%s: %s has more than one address", option, arg), "%s resolves to more than one address\n", arg)
		}
	}
	a, ok := numericHost(env.Family, found[0])
	if !ok {
		return netip.Addr{}, none
	}
	return a, nil
}

// noHost is the reason of getaddrinfo(3) for what is no host of a family.
func noHost(arg string) string {
	if _, err := netip.ParseAddr(arg); err == nil {
		return "Address family for hostname not supported"
	}
	return "Name or service not known"
}

func numericHost(family packet.Family, s string) (netip.Addr, bool) {
	if family == packet.IPv4 {
		return inetAton(s)
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Is6() && a.Zone() == ""
}

// inetAton reads an IPv4 address as inet_aton() does: one to four numbers, the
// last of which fills the rest.
func inetAton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		n, rest, ok := strtou(p)
		limit := uint64(255)
		if i == len(parts)-1 {
			limit = 1<<(8*(5-uint(len(parts)))) - 1
		}
		if !ok || rest != "" || p[0] < '0' || p[0] > '9' || n > limit {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			v = v<<(8*(5-uint(len(parts)))) | n
		} else {
			v = v<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// maskWithHoles is the prefix length that xtopt_parse_plen() makes of a mask that
// is not a run of ones: -1 in 8 bits.
const maskWithHoles = 255

// parsePrefix reads a prefix length, or a mask in the form of an address
// (XTTYPE_PLEN).
func parsePrefix(family packet.Family, option, arg string) (int, error) {
	if v, rest, ok := strtou(arg); ok && rest == "" && v <= uint64(family.Bits()) {
		return int(v), nil
	}
	a, ok := numericHost(family, arg)
	if !ok {
		return 0, ruleset.InWordsOf(fmt.Errorf("--%s: %q is neither a mask nor a prefix length from 0 to %d", option, arg, family.Bits()), "bad value for option \"--%s\", neither a valid network mask nor valid CIDR (0-%d).\n", option, family.Bits())
	}
	if n, ok := onesOf(a.AsSlice()); ok {
		return n, nil
	}
	return maskWithHoles, nil
}

// onesOf counts the ones of a mask; ok is false for a mask with holes.
func onesOf(mask []byte) (n int, ok bool) {
	for _, b := range mask {
		n += bits.LeadingZeros8(^b)
		if b != 0xff {
			break
		}
	}
	want := prefixMask(n)
	for i, b := range mask {
		if b != want[i] {
			return n, false
		}
	}
	return n, true
}

func prefixMask(n int) (mask [16]byte) {
	for i := range mask {
		mask[i] = ^byte(0xff >> min(n, 8))
		n -= min(n, 8)
	}
	return mask
}

func bytes16(a netip.Addr) (b [16]byte) {
	copy(b[:], a.AsSlice())
	return b
}

func addrOf(family packet.Family, b [16]byte) netip.Addr {
	if family == packet.IPv4 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// text prints "address[/mask]" as xtables_ipaddr_to_numeric() with
// xtables_ipmask_to_numeric() and their IPv6 twins do.
func (h hostMask) text(family packet.Family) string {
	s := addrText(addrOf(family, h.addr))
	n, ok := onesOf(h.mask[:family.Bits()/8])
	switch {
	case !ok:
		return s + "/" + addrText(addrOf(family, h.mask))
	case n == family.Bits():
		return s
	}
	return s + "/" + strconv.Itoa(n)
}

// addrText prints an address as inet_ntop() does, which writes the last 32 bits of
// an IPv4-compatible IPv6 address with dots.
func addrText(a netip.Addr) string { return string(appendAddr(nil, a)) }

// appendAddr appends addrText to b.
func appendAddr(out []byte, a netip.Addr) []byte {
	if a.Is4() || a.Is4In6() {
		return a.AppendTo(out)
	}
	b := a.As16()
	for _, zero := range b[:12] {
		if zero != 0 {
			return a.AppendTo(out)
		}
	}
	if b[12] == 0 && b[13] == 0 {
		return a.AppendTo(out)
	}
	return netip.AddrFrom4([4]byte(b[12:])).AppendTo(append(out, "::"...))
}

// contains says whether the address agrees with h in the bits of the mask.
func (h hostMask) contains(a netip.Addr) bool {
	for i, b := range a.AsSlice() {
		if (b^h.addr[i])&h.mask[i] != 0 {
			return false
		}
	}
	return a.IsValid()
}

// lower is contains as a predicate.
func (h hostMask) lower(of pred.AddrField) pred.Pred {
	p := pred.Addr{Of: of, Mask: h.mask}
	for i := range h.addr {
		p.Value[i] = h.addr[i] & h.mask[i]
	}
	return p
}

// chainProtocols are the names that xtables_parse_protocol() knows by itself.
var chainProtocols = map[string]uint8{
	"tcp": 6, "sctp": 132, "udp": 17, "udplite": 136, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58,
	"esp": 50, "ah": 51, "ipv6-mh": 135, "mh": 135, "all": 0,
}

// parseProtocol reads a protocol by number or name (XTTYPE_PROTOCOL).
func parseProtocol(env *ruleset.Env, option, arg string) (uint8, error) {
	if v, rest, ok := strtou(arg); ok && rest == "" && v <= 255 {
		return uint8(v), nil
	}
	if p, ok := chainProtocols[arg]; ok {
		return p, nil
	}
	if env.Resolve != nil {
		if p, ok := env.Resolve.Protocol(arg); ok {
			return p, nil
		}
	}
	return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not a known protocol", option, arg), "unknown protocol \"%s\" specified", arg)
}

// parsePort reads a port by number or service name, as xtables_getportbyname()
// does: of whatever protocol; getaddrinfo() cuts a number to 16 bits.
func parsePort(env *ruleset.Env, option, arg string) (uint16, error) {
	if v, rest := strtol10(arg); rest == "" && arg != "" && int32(v) >= 0 {
		return uint16(v), nil
	}
	if env.Resolve != nil {
		for _, proto := range []string{"tcp", "udp", "dccp", "udplite", "sctp"} {
			if p, ok := env.Resolve.Port(arg, proto); ok {
				return p, nil
			}
		}
	}
	return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not a port number or a known service", option, arg), "Port \"%s\" does not resolve to anything.\n", arg)
}

// parsePortRange reads "lo", "lo:", ":hi" or "lo:hi" (XTTYPE_PORTRC).
func parsePortRange(env *ruleset.Env, option, arg string) (lo, hi uint16, err error) {
	if arg != "" && !strings.Contains(arg, ":") {
		lo, err = parsePort(env, option, arg)
		return lo, lo, err
	}
	parts := strings.Split(arg, ":")
	if len(parts) > 2 {
		return 0, 0, ruleset.InWordsOf(fmt.Errorf("--%s: %q has more than two ports", option, arg), "Too many components for option \"--%s\" (max: 2)\n", option)
	}
	ends := [2]uint16{0, 65535}
	for i, part := range parts {
		if part == "" {
			continue
		}
		if ends[i], err = parsePort(env, option, part); err != nil {
			return 0, 0, err
		}
	}
	if len(parts) == 1 {
		ends[1] = ends[0]
	}
	return ends[0], ends[1], nil
}
