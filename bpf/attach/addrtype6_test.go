package attach_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// routedTypes are what IPv6 asks a route for, alone and together.
var routedTypes = []struct {
	names string
	mask  int32
}{{"LOCAL", 1 << 2}, {"ANYCAST", 1 << 4}, {"UNREACHABLE", 1 << 7}, {"LOCAL,ANYCAST,UNREACHABLE", 1<<2 | 1<<4 | 1<<7}}

// Answers of the functions of the datapath.
const (
	answerYes     = int32(abi.NetfilterAnswerA_YES)
	answerHotdrop = int32(abi.NetfilterAnswerA_HOTDROP)
)

// testMark marks the packets of the test: others come by, as those of duplicate address
// detection.
const testMark = 7

// countTypes6 counts marked packets at a hook for rule 2*type if the answer to the question for
// the type of their source is this one, and for rule 2*type+1 that for the interface.
func countTypes6(hook packet.Hook, limit, answer int32) codegen.Program {
	n := 2 * len(routedTypes)
	p := codegen.Program{Table: "filter", Family: packet.IPv6, Hook: hook, Rules: n + 1}
	p.Insns = append(start("chain"),
		asm.LoadMem(asm.R0, asm.R7, int16(unsafe.Offsetof(layout.Mark)), asm.Word),
		asm.JNE.Imm(asm.R0, testMark, "end"))
	for rule := range n {
		next := fmt.Sprintf("next%d", rule)
		arg := routedTypes[rule/2].mask | int32(rule%2)<<limit
		p.Insns = append(p.Insns,
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, arg),
			asm.Call.Label(abi.FuncAddrType6),
			asm.JNE.Imm(asm.R0, answer, next),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, int32(rule)),
			asm.Call.Label(abi.FuncCount),
			asm.Mov.Imm(asm.R0, 0).WithSymbol(next))
	}
	p.Insns = append(p.Insns,
		asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), int64(n), asm.Word).WithSymbol("end"),
		asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
	return p
}

// types6 compares what BPF and iptables-legacy count at one hook.
type types6 struct {
	*testing.T
	gen    *attach.Generation
	send   func(from netip.Addr) error
	where  string
	before []uint64 // what netfilter has counted
	had    []abi.Counter
	yes    []uint64 // how often each rule matched
}

func newTypes6(t *testing.T, hook packet.Hook, limit string, send func(netip.Addr) error) *types6 {
	t.Helper()
	bit := map[string]int32{"in": 24, "out": 25}[limit]
	c := &types6{T: t, gen: apply(t, open(t, packet.IPv6), countTypes6(hook, bit, answerYes)), send: send, yes: make([]uint64, 2*len(routedTypes))}
	rules := fmt.Sprintf("*filter\n-F %s\nCOMMIT\n*filter\n", hook)
	for _, typ := range routedTypes {
		for _, limited := range []string{"", " --limit-iface-" + limit} {
			rules += fmt.Sprintf("-A %s -m mark --mark %d -m addrtype --src-type %s%s\n", hook, testMark, typ.names, limited)
		}
	}
	restore(t, "ip6tables-legacy", rules+"COMMIT\n")
	c.before, c.had = typeCounts(t, "ip6tables-legacy-save"), counters(t, c.gen)
	return c
}

// compare sends packets from all addresses.
func (c *types6) compare(addresses ...string) {
	c.Helper()
	for _, address := range addresses {
		if err := c.send(netip.MustParseAddr(address)); err != nil {
			c.Fatalf("%s: send from %s: %v", c.where, address, err)
		}
		counts, have := typeCounts(c.T, "ip6tables-legacy-save"), counters(c.T, c.gen)
		for i, n := range counts {
			want, got := n-c.before[i], have[i].Packets-c.had[i].Packets
			if want != got {
				c.Errorf("%s: %s %s limited=%d: netfilter %d, BPF %d", c.where, address, routedTypes[i/2].names, i%2, want, got)
			}
			c.yes[i] += want
		}
		c.before, c.had = counts, have
	}
}

// under runs commands, compares, and undoes them.
func (c *types6) under(where string, do, undo []string) {
	c.Helper()
	c.where = where
	commands(c.T, do)
	c.compare(addresses6...)
	commands(c.T, undo)
}

// commands runs words, or writes a VALUE into a /FILE: "/FILE VALUE".
func commands(t *testing.T, list []string) {
	t.Helper()
	for _, command := range list {
		w := strings.Fields(command)
		if !strings.HasPrefix(command, "/") {
			run(t, w[0], w[1:]...)
		} else if err := os.WriteFile(w[0], []byte(w[1]), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// addresses6 are asked of in every state of the host.
var addresses6 = []string{
	"::", "::1", "::2", "fe80::ff:fe00:1", "fe80::ff:fe00:2", "fe80::77", "fe80::", "ff02::1", "ff05::2",
	"2001:db8:1::1", "2001:db8:1::", "2001:db8:1::2", "2001:db8:1::3", "2001:db8:1::d", "2001:db8:5::1", "2001:db8:5::2",
	"2001:db8:6::1", "2001:db8:6::", "2001:db8:9::", "2001:db8:9::5", "2001:db8:a::1", "2001:db8:b::1", "2001:db8:c::1", "2001:db8:d::1",
	"2001:db8:e::", "2001:db8:e::1", "2001:db8:f::1", "2001:db8:f::2", "2001:db8:10::", "2001:db8:10::1", "2001:db8:11::5", "2001:db8:12::1",
	"2001:db8:20::", "2001:db8:20::1", "2001:db8:21::", "2001:db8:21::1", "2001:db8:22::1", "2001:db8:22::", "2001:db8:23::1", "2001:db8:24::",
	"2001:db8:25::1", "2001:db8:26::", "2001:db8:30::1", "2001:db8:31::1", "2001:db8:31::", "2001:db8:32::", "2001:db8:32::1", "2001:db8:33::1",
	"2001:db8:40::1", "2001:db8:40::", "2001:db8:41::1", "2001:db8:42::1", "2001:db8:50::1", "2001:db8:51::1", "2001:db8:52::1",
	"2001:db8:ffff::1", "2001:db9::1", "ffff::", "1::", "::ffff:192.0.2.1",
}

// routes6 are the addresses and routes of the host.
var routes6 = []string{
	"link add d0 address 02:00:00:00:00:01 type veth peer name d1 address 02:00:00:00:00:02",
	"link add d2 type veth peer name d3", "link set lo up", "link set d0 up", "link set d1 up", "link set d2 up",
	"addr add fe80::77/64 dev d0 nodad", "addr add 2001:db8:1::1/64 dev d0 nodad", "addr add 2001:db8:5::1/128 dev lo",
	"addr add 2001:db8:1::d/64 dev d0 nodad preferred_lft 0", "addr add 2001:db8:6::1/64 dev d2", // no carrier: tentative
	"-6 route add local 2001:db8:9::/64 dev lo",
	"-6 route add unreachable 2001:db8:a::/64", "-6 route add prohibit 2001:db8:b::/64", "-6 route add blackhole 2001:db8:c::/64",
	"-6 route add throw 2001:db8:d::/64", "-6 route add 2001:db8:e::/64 dev lo", "-6 route add anycast 2001:db8:f::1 dev d0 table local",
	"-6 route add 2001:db8:10::/64 via 2001:db8:1::2", "-6 route add 2001:db8:11::4/127 dev d0", "-6 route add local 2001:db8:11::5 dev d0 table local",
	"-6 route add unreachable 2001:db8:12::/48 metric 2000", "-6 route add 2001:db8:12::/64 via 2001:db8:1::3",
	"-6 route add 2001:db8:12::/64 via 2001:db8:1::2 metric 3000",
	"-6 nexthop add id 1 dev d0", "-6 nexthop add id 2 via 2001:db8:1::2 dev d0", "-6 nexthop add id 3 blackhole", "nexthop add id 4 group 1/2",
	"nexthop add id 5 group 3", "nexthop add id 6 group 2", "-6 nexthop add id 7 via 2001:db8:1::3 dev d0",
	"-6 route add 2001:db8:20::/64 nhid 1", "-6 route add 2001:db8:21::/64 nhid 1", "-6 route add 2001:db8:22::/64 nhid 2",
	"-6 route add 2001:db8:23::/64 nhid 3", "-6 route add 2001:db8:25::/64 nhid 5", "-6 route add 2001:db8:26::/64 nhid 6",
	"-6 route add 2001:db8:30::/64 nhid 7", "-6 route add unreachable 2001:db8:30::/48",
	"-6 route add 2001:db8:31::/64 nexthop via 2001:db8:1::2 nexthop via 2001:db8:1::3",
	"-6 route add 2001:db8:32::/64 dev d0", "-6 route add unreachable 2001:db8:32::/64 metric 4000", "-6 route add prohibit 2001:db8:33::/64 metric 10",
	"-6 route add 2001:db8:33::/64 dev d0 metric 20",
	"-6 route add 2001:db8:40::/64 from 2001:db8:1::/64 dev d0", "-6 route add unreachable 2001:db8:40::/48",
	"-6 route add 2001:db8:41::/64 from ::/1 dev d0", "-6 route add unreachable 2001:db8:41::/64",
	"-6 route add unreachable 2001:db8:42::/64 from ::/2", "-6 route add 2001:db8:42::/48 dev d0",
	"-6 route add local 2001:db8:50::/64 dev lo table 77", "-6 route add unreachable default table 78",
	"-6 route add 2001:db8:51::/64 dev d0 table 79", "-6 route add throw 2001:db8:52::/64 table 80", "-6 route add local default dev lo table 80",
	"-6 route add default dev d0 table 81",
}

// TestAddrType6 compares with netfilter, at OUTPUT: rules of ip6tables-legacy must count the same.
func TestAddrType6(t *testing.T) {
	for _, out := range []string{"lo", "d0"} {
		t.Run(out, func(t *testing.T) {
			host6(t)
			c := newTypes6(t, packet.Output, "out", sender6(t, out))
			c.states(out)
			for i, n := range c.yes {
				if n == 0 {
					t.Errorf("%s limited=%d was never true", routedTypes[i/2].names, i%2)
				}
			}
		})
	}
}

// host6 is a namespace with addresses and routes.
func host6(t *testing.T, more ...string) {
	t.Helper()
	inNamespace(t)
	onOneCPU(t)
	for _, command := range append(slices.Clone(routes6), more...) {
		run(t, "ip", strings.Fields(command)...)
	}
}

// states brings the host into many states, and compares in each.
func (c *types6) states(out string) {
	const all = "/proc/sys/net/ipv6/conf/all/"
	router := []string{all + "forwarding 1"}
	host := []string{all + "forwarding 0"}
	none := []string{}
	c.under("host", none, none)
	c.under("router", router, host)
	c.under("default route", []string{"ip -6 route add default via 2001:db8:1::2"}, none)
	for _, nud := range []string{"failed", "reachable lladdr 02:00:00:00:00:02", "stale", "permanent lladdr 02:00:00:00:00:02"} {
		c.under("gateway "+nud, []string{"ip -6 neigh replace 2001:db8:1::3 dev d0 nud " + nud}, none)
	}
	c.under("both gateways failed", []string{"ip -6 neigh replace 2001:db8:1::3 dev d0 nud failed", "ip -6 neigh replace 2001:db8:1::2 dev d0 nud failed"}, none)
	c.under("failed, router", router, append(host, "ip -6 neigh flush dev d0 nud all"))
	c.under("unreachable default", []string{"ip -6 route add unreachable default metric 4"}, []string{"ip -6 route del unreachable default metric 4"})
	c.under("group", []string{"ip -6 route add 2001:db8:24::/64 nhid 2", "ip -6 route del 2001:db8:24::/64", "ip -6 route add 2001:db8:24::/64 nhid 6"}, []string{"ip -6 route del 2001:db8:24::/64"})
	c.rules(out)
	if out != "lo" {
		return // nothing can be sent in what follows
	}
	c.under("link down", []string{"ip link set d1 down"}, none)
	c.under("link down, ignored", []string{"/proc/sys/net/ipv6/conf/d0/ignore_routes_with_linkdown 1"},
		[]string{"ip link set d1 up", "/proc/sys/net/ipv6/conf/d0/ignore_routes_with_linkdown 0"})
	c.under("d2 down", []string{"ip link set d2 down"}, []string{"ip link set d2 up"})
	c.under("no IPv6 on d2", []string{"ip link set d2 mtu 1000"}, []string{"ip link set d2 mtu 1500"})
}

// rules compares with policy rules.
func (c *types6) rules(out string) {
	for _, rules := range []string{
		"lookup 77 pref 10", "to 2001:db8:50::/64 lookup 77 pref 10", "to 2001:db8:51::/64 lookup 77 pref 10",
		"from 2001:db8:1::/64 lookup 77 pref 10", "not from 2001:db8:1::/64 lookup 77 pref 10", "fwmark 7 lookup 77 pref 10",
		"fwmark 0/7 lookup 77 pref 10", "not fwmark 7 lookup 77 pref 10", "iif lo lookup 77 pref 10", "iif d0 lookup 77 pref 10", "iif none lookup 77 pref 10",
		"not iif d0 lookup 77 pref 10", "oif d0 lookup 77 pref 10", "oif lo lookup 77 pref 10", "not oif d0 lookup 77 pref 10", "tos 0x10 lookup 77 pref 10",
		"ipproto udp lookup 77 pref 10", "not ipproto udp lookup 77 pref 10", "sport 1-100 lookup 77 pref 10", "not dport 9 lookup 77 pref 10",
		"uidrange 0-0 lookup 77 pref 10", "uidrange 1-100 lookup 77 pref 10", "lookup 78 pref 10", "lookup 78 pref 32765", "lookup 78 pref 40000",
		"lookup 79 pref 10", "lookup 80 pref 10", "lookup 80 pref 32767", "lookup 999 pref 10", "unreachable pref 40000", "to 2001:db8:32::/64 unreachable pref 10",
		"to 2001:db8:32::/64 blackhole pref 10", "to 2001:db8:32::/64 prohibit pref 10", "goto 32766 pref 10", "goto 50000 pref 10", "nop pref 10",
		"to 2001:db8:50::/64 goto 20 pref 10; lookup 78 pref 15; lookup 77 pref 20", "lookup 81 suppress_prefixlength 0 pref 10",
		"lookup main suppress_prefixlength 0 pref 10; not fwmark 7 lookup 77 pref 11", "lookup main suppress_prefixlength 48 pref 10; lookup 78 pref 11",
		"lookup 79 suppress_prefixlength 64 pref 10", "lookup 79 suppress_ifgroup 0 pref 10", "lookup 79 suppress_ifgroup 5 pref 10",
		"lookup main suppress_ifgroup 0 pref 10; lookup 80 pref 11",
	} {
		if out != "lo" && !strings.Contains(rules, "if") {
			continue // the interface makes no difference
		}
		var do, undo []string
		for _, rule := range strings.Split(rules, "; ") {
			do, undo = append(do, "ip -6 rule add "+rule), append(undo, "ip -6 rule del "+rule)
		}
		c.under("rule "+rules, do, undo)
	}
	c.under("no rule for local", []string{"ip -6 rule del pref 0"}, []string{"ip -6 rule add lookup local pref 0"})
	c.under("own addresses unreachable", []string{"ip -6 rule del pref 0", "ip -6 rule add to 2001:db8:1::/64 unreachable pref 10"},
		[]string{"ip -6 rule del pref 10", "ip -6 rule add lookup local pref 0"})
}

// TestAddrType6In compares at INPUT, with the incoming interface.
func TestAddrType6In(t *testing.T) {
	host6(t)
	c := newTypes6(t, packet.Input, "in", frames6(t))
	c.where = "in d0"
	// A host drops packets from itself, multicast and ::1 before INPUT.
	c.compare("2001:db8:1::2", "2001:db8:a::1", "2001:db8:e::1", "2001:db8:ffff::1", "fe80::ff:fe00:2", "2001:db8:20::1", "2001:db8:9::5", "2001:db8:1::1",
		"2001:db8:5::1", "fe80::77", "2001:db8:1::d")
	if c.yes[0] == 0 || c.yes[1] == 0 || c.yes[4] == 0 {
		t.Errorf("LOCAL and UNREACHABLE were not met: %v", c.yes)
	}
}

// TestAddrType6Copies compares where the kernel keeps copies of routes, for the MTU of a path:
// they have whole addresses, which suppress_prefixlength and anycast addresses are about.
func TestAddrType6Copies(t *testing.T) {
	host6(t, "-6 route add 2001:db8::/32 via 2001:db8:1::2", "-6 neigh replace 2001:db8:1::2 lladdr 02:00:00:00:00:02 dev d0 nud permanent")
	c := newTypes6(t, packet.Output, "out", sender6(t, "lo"))
	rules := []string{"ip -6 rule add lookup main suppress_prefixlength 32 pref 10", "ip -6 rule add lookup 80 pref 11"}
	c.under("no copies", rules, []string{"ip -6 rule del pref 10", "ip -6 rule del pref 11"})
	for _, to := range []string{"2001:db8:ffff::1", "2001:db8:22::1", "2001:db8:11::4", "2001:db8:32::"} {
		tooBig(t, netip.MustParseAddr(to))
		if out := run(t, "ip", "-6", "route", "show", "cache"); !strings.Contains(out, to+" ") {
			t.Fatalf("no copy for %s:\n%s", to, out)
		}
	}
	c.under("copies", nil, nil)
	c.compare("2001:db8:11::4")
	c.under("copies and rules", rules, nil)
	c.compare("2001:db8:11::4")
}

// TestAddrType6Unknown wants no answer, which drops the packet, where the kernel's depends on
// what cannot be read: the source that it would choose, or a next hop by its secret hash.
func TestAddrType6Unknown(t *testing.T) {
	host6(t, "-6 route add 2001:db8:27::/64 nhid 4", "-6 route add local 2001:db8:28::/64 nhid 4")
	g := apply(t, open(t, packet.IPv6), countTypes6(packet.Output, 25, answerHotdrop))
	send := sender6(t, "lo")
	ask := func(from string, want ...uint64) {
		t.Helper()
		before := counters(t, g)
		if err := send(netip.MustParseAddr(from)); err != nil {
			t.Fatal(err)
		}
		for i, c := range counters(t, g)[:2*len(routedTypes)] {
			if got := c.Packets - before[i].Packets; got != want[i] {
				t.Errorf("%s %s limited=%d: %d unknown, want %d", from, routedTypes[i/2].names, i%2, got, want[i])
			}
		}
	}
	ask("2001:db8:27::1", 0, 0, 0, 0, 0, 0, 0, 0)
	// Of the two next hops, only that without a gateway makes it a router's anycast address.
	ask("2001:db8:27::", 0, 0, 1, 0, 0, 0, 1, 0)
	ask("2001:db8:28::1", 0, 0, 0, 0, 0, 0, 0, 0)
	chooseSource(t, netip.MustParsePrefix("2001:db8:1::/64"), 77)
	ask("2001:db8:50::1", 1, 1, 1, 1, 1, 1, 1, 1)
	ask("2001:db8:1::2", 0, 0, 0, 0, 0, 0, 0, 0) // the table has no route for it
}

// chooseSource adds a policy rule for packets whose source the kernel would choose in a prefix,
// which ip cannot do.
func chooseSource(t *testing.T, source netip.Prefix, table uint32) {
	t.Helper()
	const fraSrc, fraPriority, fraTable, findSource, toTable = 2, 6, 15, 0x10000, 1
	req := nl.NewNetlinkRequest(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	msg := &nl.RtMsg{}
	msg.Family, msg.Src_len, msg.Type, msg.Flags = unix.AF_INET6, uint8(source.Bits()), toTable, findSource
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(fraSrc, source.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(fraPriority, binary.NativeEndian.AppendUint32(nil, 10)))
	req.AddData(nl.NewRtAttr(fraTable, binary.NativeEndian.AppendUint32(nil, table)))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		t.Fatal(err)
	}
}

// onOneCPU keeps the thread on its processor: each has copies of routes of its own.
func onOneCPU(t *testing.T) {
	t.Helper()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.SchedSetaffinity(0, &before) })
}

// header6 is an IPv6 packet without a payload.
func header6(from, to netip.Addr, next byte, payload []byte) []byte {
	p := make([]byte, 40, 40+len(payload))
	p[0], p[6], p[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	copy(p[8:], from.AsSlice())
	copy(p[24:], to.AsSlice())
	return append(p, payload...)
}

const noNextHeader = 59

// sender6 sends packets out of an interface, with any source.
func sender6(t *testing.T, out string) func(netip.Addr) error {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, testMark)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ifc, err := net.InterfaceByName(out)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddr("ff02::77")
	if out == "lo" {
		to = netip.IPv6Loopback()
	}
	at := &unix.SockaddrInet6{Addr: to.As16()}
	if out != "lo" {
		at.ZoneId = uint32(ifc.Index)
	}
	return func(from netip.Addr) error {
		return unix.Sendto(fd, header6(from, to, noNextHeader, nil), 0, at)
	}
}

// frames6 puts packets on the wire of d0, to fe80::77.
func frames6(t *testing.T) func(netip.Addr) error {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, testMark)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ifc, err := net.InterfaceByName("d1")
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddr("fe80::77")
	return func(from netip.Addr) error {
		frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd}, header6(from, to, noNextHeader, nil)...)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifc.Index})
	}
}

// tooBig tells the host that a path takes packets of 1280 bytes only.
func tooBig(t *testing.T, to netip.Addr) {
	t.Helper()
	from := netip.MustParseAddr("2001:db8:1::1")
	conn, err := net.DialUDP("udp6", &net.UDPAddr{IP: from.AsSlice()}, &net.UDPAddr{IP: to.AsSlice(), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	udp := binary.BigEndian.AppendUint16(nil, uint16(conn.LocalAddr().(*net.UDPAddr).Port))
	udp = append(udp, 0, 9, 0, 8, 0, 0)
	icmp := append([]byte{2, 0, 0, 0, 0, 0, 5, 0}, header6(from, to, unix.IPPROTO_UDP, udp)...)
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, icmp, 0, &unix.SockaddrInet6{Addr: from.As16()}); err != nil {
		t.Fatal(err)
	}
}
