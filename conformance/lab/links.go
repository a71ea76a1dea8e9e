package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// quiet are the settings that keep a namespace from sending by itself and from
// limiting its answers.
var quiet = map[string]string{
	"net.ipv6.conf.all.accept_dad":               "0",
	"net.ipv6.conf.default.accept_dad":           "0",
	"net.ipv6.conf.default.dad_transmits":        "0",
	"net.ipv6.conf.default.accept_ra":            "0",
	"net.ipv6.conf.default.autoconf":             "0",
	"net.ipv6.conf.default.addr_gen_mode":        "1",
	"net.ipv6.conf.default.router_solicitations": "0",
	"net.ipv4.icmp_ratemask":                     "0",
	"net.ipv4.icmp_ratelimit":                    "0",
	"net.ipv6.icmp.ratemask":                     "",
	"net.ipv6.icmp.ratelimit":                    "0",
	"net.ipv4.tcp_invalid_ratelimit":             "0",
	"net.ipv4.conf.all.rp_filter":                "0",
	"net.ipv4.conf.default.rp_filter":            "0",
	// Redirects are sent less and less often to one host, by the clock: before the links are
	// there, or each keeps its own setting (IN_DEV_TX_REDIRECTS).
	"net.ipv4.conf.all.send_redirects":     "0",
	"net.ipv4.conf.default.send_redirects": "0",
}

// routing are the settings of the host, once its links no longer do multicast: a
// router joins groups on those that do.
var routing = map[string]string{
	"net.ipv4.ip_forward":                  "1",
	"net.ipv6.conf.all.forwarding":         "1",
	"net.ipv6.conf.default.forwarding":     "1",
	"net.ipv4.conf.all.accept_local":       "1",
	"net.ipv4.conf.default.accept_local":   "1",
	"net.ipv4.conf.all.route_localnet":     "1",
	"net.ipv4.conf.default.route_localnet": "1",
	"net.ipv4.icmp_echo_ignore_broadcasts": "0",
	"net.ipv4.ip_nonlocal_bind":            "1",
	"net.ipv6.ip_nonlocal_bind":            "1",
	"net.ipv4.tcp_syncookies":              "0",
	"net.ipv4.tcp_synack_retries":          "0",
	"net.ipv4.tcp_timestamps":              "0",
}

func prepareHost() error {
	return errors.Join(sysctls(quiet), loopUp())
}

func prepareOutside() error {
	return errors.Join(sysctls(quiet), sysctls(map[string]string{"net.ipv4.tcp_timestamps": "0"}), loopUp())
}

// sysctls writes settings of the calling thread's namespace; one that this kernel
// does not have per namespace is passed over.
func sysctls(set map[string]string) error {
	var errs []error
	for name, value := range set {
		path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
		err := os.WriteFile(path, []byte(value+"\n"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func loopUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// links makes the interfaces, with addresses, neighbours and default routes.
func (l *Lab) links(names []string) error {
	at, err := l.handle(host)
	if err != nil {
		return err
	}
	defer at.Close()
	var outside [3]*netlink.Handle
	for _, which := range []int{client, server} {
		if outside[which], err = l.handle(which); err != nil {
			return err
		}
		defer outside[which].Close()
	}
	for i, name := range names {
		p := port{name: name, outside: server, socket: -1}
		if i == 0 {
			p.outside = client
		}
		if err := l.link(at, outside[p.outside], i, &p); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		l.ports = append(l.ports, p)
	}
	for i := range l.ports {
		p := &l.ports[i]
		if err := errors.Join(running(at, p.index), running(outside[p.outside], p.peerIndex)); err != nil {
			return fmt.Errorf("interface %s: %w", p.name, err)
		}
	}
	return l.defaultRoutes(at)
}

// running waits until a link sends: one that went up before its peer has no queue before the
// kernel's worker comes by (linkwatch_do_dev(), net/core/link_watch.c), and loses all until then.
func running(h *netlink.Handle, index int) error {
	for deadline := time.Now().Add(patience); ; {
		link, err := h.LinkByIndex(index)
		if err != nil || link.Attrs().OperState == netlink.OperUp {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it is not up within %v", patience)
		}
		time.Sleep(time.Millisecond)
	}
}

func mac(i int, end byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, byte(i), end} }

// mtu is large, so that every length of packet can be sent.
const mtu = 65535

// link makes one pair: the host's end called p.name, the peer called peerN.
func (l *Lab) link(at, out *netlink.Handle, i int, p *port) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = p.name, mac(i, 1), mtu
	peer := fmt.Sprintf("peer%d", i)
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerHardwareAddr: mac(i, 2), PeerNamespace: netlink.NsFd(l.ns[p.outside]), PeerMTU: mtu}
	if err := at.LinkAdd(veth); err != nil {
		return err
	}
	var err error
	if p.index, err = raise(at, p.name); err != nil {
		return err
	}
	if p.peerIndex, err = raise(out, peer); err != nil {
		return err
	}
	for _, six := range []bool{false, true} {
		if err := addAddr(at, p.index, Address(i, six, 1), six); err != nil {
			return err
		}
		if err := addNeigh(at, p.index, Address(i, six, 2), mac(i, 2)); err != nil {
			return err
		}
		if i != 1 {
			continue // only behind the second interface answers a kernel
		}
		if err := addAddr(out, p.peerIndex, Address(i, six, 2), six); err != nil {
			return err
		}
		if err := addNeigh(out, p.peerIndex, Address(i, six, 1), mac(i, 1)); err != nil {
			return err
		}
		if err := addRoute(out, p.peerIndex, netip.PrefixFrom(unspecified(six), 0), Address(i, six, 1)); err != nil {
			return err
		}
	}
	return nil
}

func unspecified(six bool) netip.Addr {
	if six {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// raise sets a link up, without ARP and multicast: no neighbour is asked for, no
// group is joined.
func raise(h *netlink.Handle, name string) (int, error) {
	link, err := h.LinkByName(name)
	if err != nil {
		return 0, err
	}
	if err := h.LinkSetARPOff(link); err != nil {
		return 0, err
	}
	if err := h.LinkSetMulticastOff(link); err != nil {
		return 0, err
	}
	return link.Attrs().Index, h.LinkSetUp(link)
}

func addAddr(h *netlink.Handle, index int, a netip.Addr, six bool) error {
	bits, total := 24, 32
	if six {
		bits, total = 64, 128
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, total)}}
	if six {
		addr.Flags = unix.IFA_F_NODAD
	}
	return h.AddrAdd(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}}, addr)
}

func addNeigh(h *netlink.Handle, index int, a netip.Addr, m net.HardwareAddr) error {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	return h.NeighSet(&netlink.Neigh{LinkIndex: index, Family: family, State: unix.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: m})
}

// defaultRoutes lead behind the second interface, or the only one.
func (l *Lab) defaultRoutes(h *netlink.Handle) error {
	i := min(1, len(l.ports)-1)
	for _, six := range []bool{false, true} {
		if err := addRoute(h, l.ports[i].index, netip.PrefixFrom(unspecified(six), 0), Address(i, six, 2)); err != nil {
			return err
		}
	}
	return nil
}

func addRoute(h *netlink.Handle, index int, to netip.Prefix, via netip.Addr) error {
	return h.RouteReplace(&netlink.Route{
		LinkIndex: index, Gw: via.AsSlice(),
		Dst: &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), to.Addr().BitLen())},
	})
}

// Route says where addresses are.
func (l *Lab) Route(routes ...Route) error {
	if len(routes) == 0 {
		return nil
	}
	h, err := l.handle(host)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, r := range routes {
		if err := l.route(h, r); err != nil {
			return fmt.Errorf("route %s: %w", r.Prefix, err)
		}
	}
	return nil
}

func (l *Lab) route(h *netlink.Handle, r Route) error {
	if r.Via == "" {
		return h.RouteReplace(&netlink.Route{
			LinkIndex: 1, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
			Dst: &net.IPNet{IP: r.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(r.Prefix.Bits(), r.Prefix.Addr().BitLen())},
		})
	}
	for i, p := range l.ports {
		if p.name == r.Via {
			return addRoute(h, p.index, r.Prefix, Address(i, r.Prefix.Addr().Is6(), 2))
		}
	}
	return fmt.Errorf("the host has no interface %q", r.Via)
}
