package gen

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Everything makes a random ruleset of all five tables, as text for iptables-restore:
// translations with ranges and flags, rewritten headers and marks that later rules ask for,
// connections that are not tracked or tracked in zones, rules that remember packets, and
// user chains that call and go to each other. Its packets are conversations; see Conversation.
func Everything(r *rand.Rand, family packet.Family) string {
	w := &everythingWriter{rulesetWriter: rulesetWriter{r: r, six: family == packet.IPv6}, rare: r.Intn(5) == 0}
	for _, t := range []struct {
		name string
		of   int // how often, of ten
	}{{"raw", 4}, {"mangle", 7}, {"nat", 7}, {"filter", 8}, {"security", 2}} {
		if w.r.Intn(10) < t.of {
			w.table(t.name)
		}
	}
	if w.out.Len() == 0 {
		w.table("nat")
	}
	return w.out.String()
}

type everythingWriter struct {
	rulesetWriter
	users []userChain
	rare  bool // with matches that leave their table to netfilter
}

// userChain may be called from the base chains that it names.
type userChain struct {
	name  string
	hooks []string
}

// hookSets are the sets of base chains from which a user chain is called, by table.
var hookSets = map[string][][]string{
	"raw":      {{"PREROUTING"}, {"OUTPUT"}, {"PREROUTING", "OUTPUT"}},
	"mangle":   {{"PREROUTING"}, {"FORWARD", "POSTROUTING"}, {"OUTPUT", "POSTROUTING"}, {"PREROUTING", "INPUT", "FORWARD"}, {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}},
	"nat":      {{"PREROUTING"}, {"POSTROUTING"}, {"PREROUTING", "OUTPUT"}, {"INPUT", "POSTROUTING"}, {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}},
	"filter":   {{"INPUT"}, {"OUTPUT"}, {"INPUT", "FORWARD"}, {"INPUT", "FORWARD", "OUTPUT"}},
	"security": {{"INPUT", "FORWARD"}, {"INPUT", "FORWARD", "OUTPUT"}},
}

func (w *everythingWriter) table(name string) {
	w.name, w.users = name, nil
	fmt.Fprintf(&w.out, "*%s\n", name)
	for _, c := range baseChains[name] {
		policy := "ACCEPT"
		if name != "nat" && w.r.Intn(20) == 0 || name == "filter" && w.r.Intn(4) == 0 {
			policy = "DROP"
		}
		fmt.Fprintf(&w.out, ":%s %s [0:0]\n", c, policy)
	}
	sets := hookSets[name]
	for i := range w.r.Intn(9) {
		u := userChain{fmt.Sprintf("user%d", i), sets[w.r.Intn(len(sets))]}
		w.users = append(w.users, u)
		fmt.Fprintf(&w.out, ":%s - [0:0]\n", u.name)
	}
	for _, c := range baseChains[name] {
		w.chain(userChain{c, []string{c}}, -1)
	}
	for i, u := range w.users {
		w.chain(u, i)
	}
	w.out.WriteString("COMMIT\n")
}

// chain writes the rules of a chain, which calls chains that stand behind it.
func (w *everythingWriter) chain(c userChain, self int) {
	for range w.r.Intn(7) {
		asks := ""
		if w.r.Intn(8) > 0 {
			asks = w.asks(c)
		}
		target, needs := w.to(c, self)
		if needs != "" {
			if strings.Contains(asks, " -p ") {
				asks = ""
			}
			asks = needs + asks
		}
		fmt.Fprintf(&w.out, "-A %s%s%s\n", c.name, asks, target)
	}
}

// only says that a chain is met at none but these hooks.
func only(c userChain, hooks ...string) bool {
	return !slices.ContainsFunc(c.hooks, func(h string) bool { return !slices.Contains(hooks, h) })
}

// asks is what a rule asks for: what gen.Ruleset asks, what rules before have changed, what
// the connection is, and what rules remember.
func (w *everythingWriter) asks(c userChain) string {
	s := ""
	if w.r.Intn(3) > 0 {
		s = w.matches(c.name)
		if strings.Contains(s, "ipv6header") {
			s = ""
		}
		if strings.HasPrefix(c.name, "user") && w.r.Intn(6) == 0 {
			s += w.not() + w.pick(" -i ", " -o ") + w.pick("eth0", "eth1", "lo", "eth+")
		}
	} else if proto, text := w.proto(); proto != "" {
		s = text
		if w.r.Intn(2) == 0 {
			s += w.transport(proto)
		}
	}
	if w.r.Intn(3) == 0 {
		s += w.changed()
	}
	if w.name != "raw" && w.r.Intn(4) == 0 {
		s += w.tracked()
	}
	if w.r.Intn(7) == 0 {
		s += w.remembered(c)
	}
	if w.r.Intn(12) == 0 && w.rare {
		s += w.seldom(c)
	}
	return s
}

// changed asks for what rules before may have changed.
func (w *everythingWriter) changed() string {
	mark := w.pick("0x1", "0x0", "0x4000/0x4000", "0x7", "0x10/0xf0", "0x0/0xff00", "0x21/0xffff")
	hops := " -m ttl --ttl-"
	if w.six {
		hops = " -m hl --hl-"
	}
	choices := []string{
		" -m mark" + w.not() + " --mark " + mark, " -m mark" + w.not() + " --mark " + mark,
		" -m tos" + w.not() + " --tos " + w.pick("0x10", "0x08/0xff", "0x00", "0x20/0xfc"), " -m dscp" + w.not() + " --dscp " + w.pick("0x08", "0x2e", "0", "0x3f"),
		hops + w.pick("eq 64", "eq 63", "eq 10", "lt 64", "gt 63", "lt 2", "gt 200"),
		" -m length" + w.not() + " --length " + w.pick("40", "44", "60:64", "0:60", "48:"),
	}
	if w.name != "raw" {
		choices = append(choices, " -m connmark"+w.not()+" --mark "+mark)
	}
	return choices[w.r.Intn(len(choices))]
}

// tracked asks for the connection.
func (w *everythingWriter) tracked() string {
	addr := w.addr()
	if w.r.Intn(3) == 0 {
		addr = w.inside()
	}
	return " -m conntrack" + w.pick(
		w.not()+" --ctstate "+w.pick("NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED", "SNAT", "DNAT", "NEW,SNAT", "DNAT,SNAT", "ESTABLISHED,DNAT", "RELATED,INVALID,UNTRACKED"),
		w.not()+" --ctstatus "+w.pick("NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED", "EXPECTED", "CONFIRMED,SEEN_REPLY"),
		w.not()+" --ctorigdst "+addr, w.not()+" --ctorigsrc "+addr, w.not()+" --ctreplsrc "+addr, w.not()+" --ctrepldst "+addr,
		" --ctdir "+w.pick("ORIGINAL", "REPLY"), w.not()+" --ctproto "+w.pick("6", "17", "tcp"),
		w.not()+" --ctorigdstport "+w.pick("80", "22:443", "1024:65535"), w.not()+" --ctreplsrcport "+w.pick("80", "8080", "1:1023"),
		" --ctstate ESTABLISHED --ctdir "+w.pick("ORIGINAL", "REPLY"), " --ctstate DNAT --ctstatus "+w.pick("CONFIRMED", "NONE"),
		w.not()+" --ctexpire "+w.pick("0", "0:100000", "100001:"))
}

// remembered asks for the packets before.
func (w *everythingWriter) remembered(c userChain) string {
	list := w.pick("a", "b")
	if c.hooks[0] == "OUTPUT" {
		list = "out"
	}
	if w.r.Intn(4) == 0 {
		return w.pick(
			" -m quota"+w.not()+" --quota "+w.pick("100", "500", "2000"),
			" -m hashlimit --hashlimit-"+w.pick("upto", "above")+" 1/hour --hashlimit-burst "+w.pick("1", "4")+" --hashlimit-mode "+w.pick("srcip", "dstip", "srcip,dstport", "srcip,srcport,dstip,dstport")+" --hashlimit-name h"+fmt.Sprint(w.r.Intn(100000)))
	}
	return w.pick(
		" -m limit --limit 1/hour --limit-burst "+w.pick("1", "3", "7"),
		" -m statistic --mode nth --every "+w.pick("1", "2", "3", "5")+" --packet 0", " -m statistic --mode nth"+w.not()+" --every 4 --packet 3",
		" -m recent --name "+list+w.pick(" --set", " --rcheck", " --update", " --remove", " --set", " --rcheck --seconds 3600", " --update --hitcount 3", " --rcheck --hitcount 2 --rttl")+w.pick(" --rsource", " --rdest", ""))
}

// seldom are matches that few rulesets have.
func (w *everythingWriter) seldom(c userChain) string {
	choices := []string{
		" -m ecn --ecn-ip-ect " + w.pick("0", "1", "2"), " -m string --algo " + w.pick("bm", "kmp") + " --string " + w.pick("data", "GET"),
		" -m cpu" + w.not() + " --cpu 0", " -m realm" + w.not() + " --realm 0", " -m helper --helper ftp",
		" -m policy --dir in --pol none", " -m devgroup" + w.not() + " --src-group 0", " -m connbytes --connbytes 2:100 --connbytes-mode packets --connbytes-dir " + w.pick("both", "original"),
		" -m connlimit --connlimit-above " + w.pick("1", "3"), " -m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 7",
		" -m addrtype" + w.not() + " --src-type " + w.pick("UNICAST", "LOCAL,UNICAST"), " -m addrtype --dst-type LOCAL",
		" -m bpf --bytecode \"1,6 0 0 65535\"", " -m socket", " -m socket --transparent --nowildcard", " -m rpfilter" + w.pick("", " --invert", " --loose --accept-local"),
	}
	for {
		s := choices[w.r.Intn(len(choices))]
		switch {
		case strings.Contains(s, "realm") && (w.six || slices.Contains(c.hooks, "PREROUTING")), (strings.Contains(s, "policy") || strings.Contains(s, "devgroup")) && !only(c, "PREROUTING", "INPUT", "FORWARD"),
			strings.Contains(s, "socket") && !only(c, "PREROUTING", "INPUT"),
			strings.Contains(s, "rpfilter") && (!only(c, "PREROUTING") || w.name != "raw" && w.name != "mangle"),
			strings.Contains(s, "cpu") || w.name == "raw" && (strings.Contains(s, "conn") || strings.Contains(s, "helper") || strings.Contains(s, "cluster")):
			continue
		}
		return s
	}
}

// inside is one address, of those that translations lead to as well.
func (w *rulesetWriter) inside() string {
	if w.six {
		return w.pick("2001:db8:1ab:1::2", "2001:db8:1ab:1::3c", "2001:db8:1ab::1", "2001:db8:1ab::3d", "2001:db8:a::7")
	}
	return w.pick("198.18.1.2", "198.18.1.60", "198.18.0.1", "198.18.0.61", "192.0.2.7")
}
