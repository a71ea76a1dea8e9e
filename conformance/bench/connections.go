package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const throughServices = "new connection"

var connectionsPart = &part{
	name: "connections", title: "New connections through kube-proxy's rules",
	about: `The first packet of a connection to the last of N services, each with an endpoint of its own: kube-proxy's chains in table nat find the service, ` + "`DNAT`" + ` sends it to the
endpoint behind another interface, ` + "`MASQUERADE`" + ` gives it an address of the host. The whole way from driver to driver, every packet a new
connection; the kernel's connection tracking is emptied in between.`,
	firewalls: []string{legacy, nft, ours}, what: "packet", show: nanoseconds,
	ratios:  []ratio{versus(ours, legacy), versus(ours, nft)},
	measure: measureConnections,
	targets: []target{
		flat{what: throughServices, of: ours, from: 10, to: 10000, most: 1.1},
		atLeast{what: throughServices, n: 10000, ratio: versus(legacy, ours), least: 8},
	},
}

func measureConnections(b *bench, r *result) error {
	all, err := b.usual(legacy, nft, ours)
	for _, f := range all {
		if err == nil {
			err = f.host.Route()
		}
	}
	for _, n := range b.size.connections {
		if err == nil {
			rules, t := throughKube(n, b.size.spread)
			err = b.packets(r.add(throughServices, n), all, rules, t, b.loading)
		}
	}
	return errors.Join(err, removeAll(all))
}

// throughKube gives kube-proxy's rules of n services with an endpoint each, and packets of different
// connections to the last one.
func throughKube(n, connections int) (*rules, *traffic) {
	rules := newRules(shapes.Same, packet.IPv4, 1)
	name := func(kind string, i int) string { return fmt.Sprintf("KUBE-%s-%016d", kind, i) }
	address := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)})
	}
	var chains, jumps, bodies strings.Builder
	for i := range n {
		fmt.Fprintf(&chains, ":%s - [0:0]\n:%s - [0:0]\n", name("SVC", i), name("SEP", i))
		at := fmt.Sprintf("-d %s/32 -p udp -m comment --comment \"space/service-%d cluster IP\" -m udp --dport 80", address(i), i)
		fmt.Fprintf(&jumps, "-A KUBE-SERVICES %s -j %s\n", at, name("SVC", i))
		fmt.Fprintf(&bodies, "-A %s ! -s 10.244.0.0/16 %s -j KUBE-MARK-MASQ\n-A %s -j %s\n-A %s -p udp -m udp -j DNAT --to-destination %s:%d\n",
			name("SVC", i), at, name("SVC", i), name("SEP", i), name("SEP", i), flood.BeyondAddr, 1024+i)
	}
	rules.whole = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n" +
		":KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n" + chains.String() +
		"-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n" +
		"-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n" +
		"-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n" +
		"-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n" + jumps.String() + bodies.String() + "COMMIT\n"
	rules.Chain = name("SEP", n-1)
	t := &traffic{wire: true, fresh: true}
	for i := range connections {
		t.headers = append(t.headers, shapes.Header{
			Src: netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0xc6130000|uint32(i&0xffff)))), Dst: address(n - 1), // 198.19.0.0/16
			Proto: 17, SrcPort: uint16(1024 + i>>16), DstPort: 80,
		})
	}
	return rules, t
}

// flat is a target: at one N it takes at most so many times what it takes at another.
type flat struct {
	what, of string
	from, to int
	most     float64
}

func (t flat) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s: %s at N = %d at most %g times N = %d", t.what, t.of, t.to, t.most, t.from)
	at, than := r.at(t.what, t.to, t.of).Time, r.at(t.what, t.from, t.of).Time
	if at == 0 || than == 0 {
		return text, false, false
	}
	v := float64(at) / float64(than)
	return text + figure(v), v <= t.most, true
}
