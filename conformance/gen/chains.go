package gen

import (
	"fmt"
	"math/rand"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Chains makes a filter table with long chains, as text for iptables-restore: rules
// that ask all that can be looked up and all that cannot, in any order, with rules among them
// that do not end the traversal, that change marks, that remember packets, and that call
// chains which call others.
func Chains(r *rand.Rand, family packet.Family, rules int) string {
	w := &chainsWriter{rulesetWriter: rulesetWriter{r: r, six: family == packet.IPv6, name: "filter"}}
	w.out.WriteString("*filter\n")
	for _, c := range baseChains["filter"] {
		fmt.Fprintf(&w.out, ":%s %s [0:0]\n", c, w.pick("ACCEPT", "DROP"))
	}
	w.users = r.Intn(7)
	for i := range w.users {
		fmt.Fprintf(&w.out, ":user%d - [0:0]\n", i)
	}
	for _, c := range baseChains["filter"] {
		w.rules(c, -1, 1+r.Intn(rules))
	}
	for i := range w.users {
		w.rules(fmt.Sprintf("user%d", i), i, r.Intn(rules))
	}
	w.out.WriteString("COMMIT\n")
	return w.out.String()
}

type chainsWriter struct {
	rulesetWriter
	users int
}

func (w *chainsWriter) rules(chain string, self, n int) {
	for range n {
		matches := w.matches(chain)
		if w.r.Intn(2) == 0 || strings.Contains(matches, "ipv6header") { // which netfilter alone decides
			matches = w.narrow()
		}
		if w.r.Intn(10) == 0 {
			matches += w.memory()
		}
		fmt.Fprintf(&w.out, "-A %s%s%s\n", chain, matches, w.to(chain, self))
	}
}

// to is the target. A note has room for so many actions of netfilter, so few rules ask
// for them, and few call other chains.
func (w *chainsWriter) to(chain string, self int) string {
	next := self + 1
	switch n := w.r.Intn(40); {
	case n == 0:
		return w.pick(" -j LOG --log-prefix \"y \"", " -j NFLOG --nflog-group 3", " -j REJECT")
	case n == 1:
		return w.pick(" -j MARK --set-xmark 0x1/0x1", " -j MARK --set-xmark 0x7/0xffffffff", " -j MARK --set-xmark 0x0/0x4",
			" -j CONNMARK --save-mark", " -j CONNMARK --restore-mark")
	case n < 6 && next < w.users:
		return fmt.Sprintf(" -%s user%d", w.pick("j", "j", "g"), next+w.r.Intn(w.users-next))
	case n < 15:
		return w.pick("", " -j RETURN")
	}
	return w.pick(" -j ACCEPT", " -j DROP")
}

// narrow asks for one packet of many: what tables are made of.
func (w *chainsWriter) narrow() string {
	s := ""
	if w.r.Intn(4) > 0 {
		s += w.not() + " -s " + w.prefix().String()
	}
	if w.r.Intn(4) > 0 {
		s += w.not() + " -d " + w.prefix().String()
	}
	if w.r.Intn(8) == 0 {
		s += " -m mark --mark " + w.pick("0x1", "0x7", "0x0", "0x1/0x1")
	}
	switch proto := w.pick("", "tcp", "tcp", "udp", "sctp", "icmp"); proto {
	case "":
	case "icmp":
		if w.six {
			proto = "ipv6-icmp"
		}
		s += " -p " + proto + w.transport(proto)
	default:
		s += fmt.Sprintf(" -p %s -m %s", proto, proto)
		if w.r.Intn(3) == 0 {
			s += w.not() + " --sport " + w.ports()
		}
		if w.r.Intn(3) > 0 {
			s += w.not() + " --dport " + w.pick(w.ports(), fmt.Sprint(w.r.Intn(64)), fmt.Sprintf("%d:%d", w.r.Intn(64), 64+w.r.Intn(64)))
		}
	}
	if w.r.Intn(6) == 0 {
		s += " -m conntrack" + w.not() + " --ctstate " + w.pick("NEW", "RELATED,ESTABLISHED", "INVALID,UNTRACKED", "ESTABLISHED")
	}
	return s
}

// prefix is one of few networks that lie in each other, of any length.
func (w *chainsWriter) prefix() netip.Prefix {
	if !w.six {
		a := netip.AddrFrom4([4]byte{198, 18, byte(w.r.Intn(2)), byte(w.r.Intn(8)) << w.r.Intn(6)})
		p, _ := a.Prefix(15 + w.r.Intn(18))
		return p
	}
	a := netip.MustParseAddr("2001:db8:1ab::").As16()
	a[7], a[8], a[15] = byte(w.r.Intn(2)), byte(w.r.Intn(2))<<7, byte(w.r.Intn(8))<<w.r.Intn(6)
	p, _ := netip.AddrFrom16(a).Prefix([]int{32, 48, 60, 64, 65, 96, 120, 126, 128, 128}[w.r.Intn(10)])
	return p
}

// memory is a match whose answer depends on the packets before.
func (w *chainsWriter) memory() string {
	return w.pick(
		" -m limit --limit 2/sec --limit-burst 3", " -m limit --limit 90/min",
		" -m statistic --mode nth --every 3 --packet 1", " -m statistic --mode random"+w.not()+" --probability 0.5",
		" -m recent --name a --set", " -m recent --name a --rcheck --seconds 5", " -m recent --name a"+w.not()+" --update --hitcount 2",
		" -m recent --name b --rdest --set", " -m recent --name b --rdest --remove")
}
