package gen

import (
	"fmt"
	"math/rand"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Ruleset makes a random ruleset of some tables, as text for iptables-restore.
// All of its rules ask what can be decided by the packet, its connection and its
// sender: nothing depends on time or chance.
func Ruleset(r *rand.Rand, family packet.Family) string {
	w := &rulesetWriter{r: r, six: family == packet.IPv6}
	tables := []string{"filter"}
	for _, t := range []string{"raw", "mangle", "security"} {
		if r.Intn(3) == 0 {
			tables = append(tables, t)
		}
	}
	for _, t := range tables {
		w.table(t)
	}
	return w.out.String()
}

type rulesetWriter struct {
	r    *rand.Rand
	six  bool
	out  strings.Builder
	name string // of the table
}

var baseChains = map[string][]string{
	"raw": {"PREROUTING", "OUTPUT"}, "mangle": {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"},
	"nat":    {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"},
	"filter": {"INPUT", "FORWARD", "OUTPUT"}, "security": {"INPUT", "FORWARD", "OUTPUT"},
}

func (w *rulesetWriter) pick(list ...string) string { return list[w.r.Intn(len(list))] }

func (w *rulesetWriter) table(name string) {
	w.name = name
	fmt.Fprintf(&w.out, "*%s\n", name)
	for _, c := range baseChains[name] {
		policy := "ACCEPT"
		if name == "filter" && w.r.Intn(3) == 0 {
			policy = "DROP"
		}
		fmt.Fprintf(&w.out, ":%s %s [0:0]\n", c, policy)
	}
	users := w.r.Intn(6)
	for i := range users {
		fmt.Fprintf(&w.out, ":user%d - [0:0]\n", i)
	}
	for _, c := range baseChains[name] {
		w.chain(c, -1, users)
	}
	for i := range users {
		w.chain(fmt.Sprintf("user%d", i), i, users)
	}
	w.out.WriteString("COMMIT\n")
}

// chain writes the rules of a chain, which may jump to the user chains behind it.
func (w *rulesetWriter) chain(name string, self, users int) {
	for range w.r.Intn(7) {
		if w.name == "mangle" && name == "PREROUTING" && w.r.Intn(8) == 0 {
			fmt.Fprintf(&w.out, "-A %s -p %s%s -j TPROXY --on-port %s --tproxy-mark 0x1/0xf\n", name, w.pick("tcp", "udp"), w.pick("", " -m length --length 60:"), w.pick("0", "80"))
			continue
		}
		if w.name == "mangle" && w.r.Intn(16) == 0 {
			fmt.Fprintf(&w.out, "-A %s -p udp -j CHECKSUM --checksum-fill\n", name)
			continue
		}
		if w.name == "mangle" && w.r.Intn(6) == 0 {
			fmt.Fprintf(&w.out, "-A %s%s\n", name, w.mss(name))
			continue
		}
		fmt.Fprintf(&w.out, "-A %s%s%s\n", name, w.matches(name), w.target(name, self, users))
	}
}

func (w *rulesetWriter) not() string {
	if w.r.Intn(5) == 0 {
		return " !"
	}
	return ""
}

func (w *rulesetWriter) matches(chain string) string {
	s := ""
	if w.r.Intn(4) == 0 {
		s += w.not() + " -s " + w.addr()
	}
	if w.r.Intn(4) == 0 {
		s += w.not() + " -d " + w.addr()
	}
	inside := chain != "OUTPUT" && chain != "POSTROUTING" && !strings.HasPrefix(chain, "user")
	if inside && w.r.Intn(4) == 0 {
		s += w.not() + " -i " + w.pick("eth0", "eth1", "lo", "eth+", "wlan0")
	}
	if (chain == "OUTPUT" || chain == "FORWARD" || chain == "POSTROUTING") && w.r.Intn(4) == 0 {
		s += w.not() + " -o " + w.pick("eth0", "eth1", "eth+", "wl+", "wlan0")
	}
	proto, text := w.proto()
	s += text
	if !w.six && w.r.Intn(12) == 0 {
		s += w.not() + " -f"
	}
	for range w.r.Intn(3) {
		s += w.general(chain)
	}
	if proto != "" && w.r.Intn(3) > 0 {
		s += w.transport(proto)
	}
	return s
}

func (w *rulesetWriter) addr() string {
	if w.six {
		return w.pick("2001:db8:1ab::/64", "2001:db8:1ab:1::/64", "2001:db8:1ab:1::32/123", "2001:db8:a::7", "fd00::/8", "2001:db8:1ab::1", "2001:db8:1ab:1::2/128")
	}
	return w.pick("198.18.0.0/24", "198.18.1.0/24", "198.18.1.48/29", "192.0.2.7", "10.0.0.0/8", "198.18.0.1", "198.18.1.2", "198.18.0.2/255.255.0.255")
}

// proto gives -p, or nothing; the name only where the transport may be asked.
func (w *rulesetWriter) proto() (name, text string) {
	icmp := "icmp"
	if w.six {
		icmp = "ipv6-icmp"
	}
	switch w.r.Intn(10) {
	case 0, 1:
		return "", ""
	case 2:
		return "", w.not() + " -p " + w.pick("tcp", "udp", "47", "esp")
	}
	name = w.pick("tcp", "tcp", "tcp", "udp", "udp", icmp, "sctp", "udplite")
	return name, " -p " + name
}

func (w *rulesetWriter) ports() string {
	return w.pick("22", "53", "80", "443", "1024", "8080", "0", "65535", "20:22", ":53", "1024:", "80:443", "40000:50000")
}

func (w *rulesetWriter) transport(proto string) string {
	switch proto {
	case "tcp":
		return w.pick(
			" -m tcp"+w.not()+" --dport "+w.ports(), " -m tcp"+w.not()+" --sport "+w.ports(), " -m tcp --syn", " -m tcp ! --syn",
			" -m tcp"+w.not()+" --tcp-flags "+w.pick("SYN,ACK,FIN,RST SYN", "ALL NONE", "ALL ALL", "SYN,FIN SYN,FIN", "ACK ACK", "RST RST"),
			" -m tcp"+w.not()+" --tcp-option "+w.pick("2", "4", "8"), " -m tcpmss"+w.not()+" --mss "+w.pick("1460", "500:1460", "0:536"), w.multiport())
	case "udp":
		return w.pick(" -m udp"+w.not()+" --dport "+w.ports(), " -m udp"+w.not()+" --sport "+w.ports(), w.multiport())
	case "sctp":
		return w.pick(" -m sctp"+w.not()+" --dport "+w.ports(), " -m sctp --chunk-types "+w.pick("any", "all", "only")+" "+w.pick("INIT", "DATA", "INIT,DATA"), w.multiport())
	case "icmp":
		return " -m icmp" + w.not() + " --icmp-type " + w.pick("8", "0", "3", "3/1", "11", "any")
	case "ipv6-icmp":
		return " -m icmp6" + w.not() + " --icmpv6-type " + w.pick("128", "129", "1", "1/4", "3", "135")
	}
	return w.multiport()
}

func (w *rulesetWriter) multiport() string {
	return " -m multiport" + w.not() + " --" + w.pick("dports", "sports", "ports") + " " + w.pick("22,80,443", "1000:2000", "53,1024:65535", "9,22:25")
}

func (w *rulesetWriter) general(chain string) string {
	choices := []string{
		" -m conntrack" + w.not() + " --ctstate " + w.pick("NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "NEW,UNTRACKED"),
		" -m state --state " + w.pick("NEW", "RELATED,ESTABLISHED", "INVALID"),
		" -m mark" + w.not() + " --mark " + w.pick("0x1", "0x0/0x1", "7", "0x4/0xf"),
		" -m length" + w.not() + " --length " + w.pick("28", "0:40", "41:100", "1000:65535"),
		" -m comment --comment \"a b\"",
		" -m pkttype" + w.not() + " --pkt-type " + w.pick("unicast", "broadcast", "multicast"),
		" -m tos" + w.not() + " --tos " + w.pick("0x10/0xff", "0x00/0x03"),
		" -m dscp" + w.not() + " --dscp " + w.pick("0x00", "0x08"),
		" -m u32" + w.not() + " --u32 \"" + w.pick("0>>28=4:6", "6&0xFF=1:17", "0&0xFFFF=0x1C:0x40") + "\"",
		" -m addrtype" + w.not() + " --dst-type " + w.pick("MULTICAST", "UNICAST"),
	}
	if w.six {
		choices = append(choices, " -m hl --hl-"+w.pick("eq 64", "lt 2", "gt 63"), " -m iprange --src-range 2001:db8:1ab::2-2001:db8:1ab::40",
			" -m frag --fragid 0:4294967295", " -m rt"+w.not()+" --rt-type "+w.pick("0", "2"), " -m ipv6header --header dst --soft", " -m ipv6header --header hop,frag --soft",
			" -m addrtype"+w.not()+" --"+w.pick("src", "dst")+"-type "+w.pick("LOCAL", "ANYCAST", "UNREACHABLE", "LOCAL,UNICAST"))
	} else {
		choices = append(choices, " -m ttl --ttl-"+w.pick("eq 64", "lt 2", "gt 63"), " -m iprange"+w.not()+" --src-range 198.18.0.2-198.18.0.60",
			" -m addrtype"+w.not()+" --dst-type "+w.pick("LOCAL", "BROADCAST"))
	}
	if chain == "OUTPUT" {
		choices = append(choices, " -m owner"+w.not()+" --uid-owner "+w.pick("0", "500", "0-1000"), " -m owner --gid-owner 1000")
	}
	if chain == "INPUT" || chain == "FORWARD" || chain == "PREROUTING" {
		choices = append(choices, " -m mac"+w.not()+" --mac-source "+w.pick("02:00:00:00:00:02", "02:00:00:00:01:02"))
	}
	if w.name != "raw" {
		choices = append(choices, " -m connmark --mark "+w.pick("0x0", "7", "0x1/0x1"))
	}
	return choices[w.r.Intn(len(choices))]
}

// mss is a rule that changes the size that a SYN announces.
func (w *rulesetWriter) mss(chain string) string {
	to := w.pick("set-mss 500", "set-mss 1200", "set-mss 1460")
	if chain == "FORWARD" || chain == "POSTROUTING" {
		to = w.pick(to, "clamp-mss-to-pmtu")
	}
	return " -p tcp -m tcp " + w.pick("--syn", "--tcp-flags SYN,RST SYN", "--tcp-flags SYN SYN") + w.pick("", " -m tcpmss --mss 1000:65535") + " -j TCPMSS --" + to
}

// ecn changes the codepoint of ECN in the IP header; IPv6 has no such target.
func (w *rulesetWriter) ecn() string {
	if w.six {
		return " -j TOS --set-tos 0x02/0x03"
	}
	return " -j ECN --ecn-ip-ect " + w.pick("0", "1", "2", "3")
}

// rewrite is a target that changes the IP header.
func (w *rulesetWriter) rewrite() string {
	hops := " -j TTL --ttl-"
	if w.six {
		hops = " -j HL --hl-"
	}
	return w.pick(hops+w.pick("set 64", "set 1", "inc 1", "inc 200", "dec 1", "dec 63", "dec 255"),
		" -j TOS --set-tos "+w.pick("0x10/0xff", "0x00/0xff", "0x08/0x3f", "0xff/0x0f", "0x00/0x00"),
		" -j DSCP --set-dscp "+w.pick("0x00", "0x08", "0x2e", "0x3f"), w.pick(" -j TOS --set-tos 0x21", w.ecn()))
}

func (w *rulesetWriter) target(chain string, self, users int) string {
	if next := self + 1; next < users && w.r.Intn(3) == 0 {
		to := next + w.r.Intn(users-next)
		return fmt.Sprintf(" -%s user%d", w.pick("j", "j", "j", "g"), to)
	}
	choices := []string{" -j ACCEPT", " -j DROP", " -j RETURN", "", " -j ACCEPT", " -j DROP"}
	switch w.name {
	case "filter":
		reject := " -j REJECT"
		if chain != "INPUT" && chain != "FORWARD" && chain != "OUTPUT" {
			reject = " -j RETURN" // user chains of the filter table may reject, too, but not those of others
		}
		choices = append(choices, reject, " -j LOG --log-prefix \"x \"", " -j NFLOG --nflog-group 3")
	case "mangle":
		choices = []string{" -j MARK --set-xmark " + w.pick("0x1/0x1", "0x7/0xffffffff"), " -j CONNMARK --save-mark", " -j CONNMARK --restore-mark", "", " -j RETURN", " -j ACCEPT", w.rewrite(), w.rewrite()}
	case "raw":
		choices = append(choices, " -j NOTRACK", " -j CT --notrack", " -j CT --zone "+w.pick("1", "2"))
	}
	return choices[w.r.Intn(len(choices))]
}
