package attach

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// localAddrs lists the addresses of the namespace, and those that are neither local nor
// forwarded. why says what keeps the list from telling all; then it is not used.
func (s *Space) localAddrs() (list map[netip.Addr]abi.EarlyXdpEarlyAddr, why string, err error) {
	family, local := unix.AF_INET, netip.MustParsePrefix("127.0.0.0/8")
	if s.family == packet.IPv6 {
		family, local = unix.AF_INET6, netip.MustParsePrefix("::1/128")
	}
	if why, err = policyRules(family); why != "" || err != nil {
		return nil, why, err
	}
	var routes []netlink.Route
	err = steady.Routing(func() (err error) {
		routes, err = netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list local routes: %w", err)
	}
	list = map[netip.Addr]abi.EarlyXdpEarlyAddr{}
	for _, r := range routes {
		dst, err := prefixOf(&r)
		switch {
		case err != nil:
			return nil, "", err
		case dst.Addr().IsMulticast() || local.Overlaps(dst):
			continue
		case !dst.IsSingleIP():
			return nil, fmt.Sprintf("the route %s of table local is for more than one address", dst), nil
		case r.Type == unix.RTN_LOCAL && list[dst.Addr()] == abi.EarlyXdpEarlyAddrADDR_FORWARD:
			list[dst.Addr()] = abi.EarlyXdpEarlyAddrADDR_LOCAL
		default:
			list[dst.Addr()] = abi.EarlyXdpEarlyAddrADDR_OTHER
		}
	}
	return list, "", nil
}

func prefixOf(r *netlink.Route) (netip.Prefix, error) {
	if r.Dst == nil {
		return netip.Prefix{}, fmt.Errorf("a route of table local has no destination")
	}
	ones, _ := r.Dst.Mask.Size()
	a, ok := netip.AddrFromSlice(r.Dst.IP)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("route %s: not an address", r.Dst)
	}
	return netip.PrefixFrom(a.Unmap(), ones), nil
}

// policyRules says why the table "local" does not decide what is local; "": it does.
func policyRules(family int) (string, error) {
	var rules []netlink.Rule
	err := steady.Routing(func() (err error) { rules, err = netlink.RuleList(family); return err })
	if err != nil {
		return "", fmt.Errorf("list routing rules: %w", err)
	}
	if len(rules) == 0 {
		return "no routing rule names the table local", nil
	}
	r := rules[0] // they come by priority
	plain := r.Src == nil && r.Dst == nil && r.Mark == 0 && r.IifName == "" && r.OifName == "" && r.Tos == 0 && !r.Invert
	if r.Table != unix.RT_TABLE_LOCAL || !plain {
		return fmt.Sprintf("a routing rule (%s) stands before the table local", r), nil
	}
	return "", nil
}

// fillAddrs makes the set in the kernel the same as the list.
func fillAddrs(m *ebpf.Map, list map[netip.Addr]abi.EarlyXdpEarlyAddr) error {
	var stale []abi.EarlyXdpEarlyAddress
	var key abi.EarlyXdpEarlyAddress
	var kind uint32
	for entries := m.Iterate(); entries.Next(&key, &kind); {
		stale = append(stale, key)
	}
	for _, key := range stale {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("local addresses: %w", err)
		}
	}
	for a, kind := range list {
		if err := m.Put(addressKey(a), uint32(kind)); err != nil {
			return fmt.Errorf("local addresses: %w", err)
		}
	}
	return nil
}

// nearAddrs keeps the addresses of IPv4 beside the configuration, if they are few.
func nearAddrs(c *abi.EarlyXdpEarlyConfig, list map[netip.Addr]abi.EarlyXdpEarlyAddr) {
	if len(list) > len(c.Near) {
		return
	}
	n := 0
	for a, kind := range list {
		if !a.Is4() {
			return
		}
		b := a.As4()
		c.Near[n] = binary.NativeEndian.Uint32(b[:])
		if kind == abi.EarlyXdpEarlyAddrADDR_LOCAL {
			c.NearLocal |= 1 << n
		}
		n++
	}
	c.Few = 1
}

// addressKey has the address as it is on the wire.
func addressKey(a netip.Addr) [16]byte {
	var out [16]byte
	copy(out[:], a.AsSlice())
	return out
}
