package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// load is one ruleset to measure: n rules "-s A/32 -p udp --dport P" in INPUT, of
// which the last one matches the flow.
type load struct {
	n         int
	accept    bool // rules accept and the policy drops, or the other way around
	conntrack bool // RELATED,ESTABLISHED is accepted first
}

// text is the ruleset as iptables-save would print it.
func (l load) text() string {
	target, policy := "DROP", "ACCEPT"
	if l.accept {
		target, policy = policy, target
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*filter\n:INPUT %s [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n", policy)
	if l.conntrack {
		b.WriteString("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n")
	}
	for i := 1; i <= l.n; i++ {
		f := flowOf(i)
		fmt.Fprintf(&b, "-A INPUT -s %s/32 -p udp -m udp --dport %d -j %s\n", f.src, f.port, target)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// flow is what the last rule matches.
func (l load) flow() flow { return flowOf(l.n) }

// flowOf is what rule i matches; addresses are those for benchmarks of RFC 2544.
func flowOf(i int) flow {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 198<<24|18<<16+uint32(i))
	return flow{netip.AddrFrom4(a), uint16(1024 + i%60000)}
}

// verdict names what happens to the frames.
func (l load) verdict() string {
	if l.accept {
		return "accept"
	}
	return "drop"
}
