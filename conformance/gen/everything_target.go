package gen

import (
	"fmt"
	"slices"
)

// to is the target of a rule, and what the rule has to ask for before it.
func (w *everythingWriter) to(c userChain, self int) (target, needs string) {
	if w.r.Intn(4) == 0 {
		if to := w.callee(c, self); to != "" {
			return fmt.Sprintf(" -%s %s", w.pick("j", "j", "j", "g"), to), ""
		}
	}
	switch w.r.Intn(8) {
	case 0:
		return w.pick("", " -j RETURN"), ""
	case 1:
		return w.pick(" -j LOG --log-prefix \"x \"", " -j NFLOG --nflog-group 3"), ""
	case 2:
		return w.mark(), ""
	}
	switch w.name {
	case "nat":
		return w.translation(c)
	case "mangle":
		return w.mangled(c)
	case "raw":
		return w.pick(" -j NOTRACK", " -j CT --notrack", " -j CT --zone 1", " -j CT --zone 2", " -j CT", " -j ACCEPT", " -j DROP", "", " -j RETURN"), ""
	}
	if w.name == "filter" && w.r.Intn(3) == 0 {
		return w.reject()
	}
	return w.pick(" -j ACCEPT", " -j ACCEPT", " -j DROP", " -j RETURN"), ""
}

// callee is a chain that this one may call.
func (w *everythingWriter) callee(c userChain, self int) string {
	var fit []string
	for _, u := range w.users[self+1:] {
		if !slices.ContainsFunc(c.hooks, func(h string) bool { return !slices.Contains(u.hooks, h) }) {
			fit = append(fit, u.name)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return fit[w.r.Intn(len(fit))]
}

func (w *everythingWriter) mark() string {
	return w.pick(
		" -j MARK --set-xmark "+w.pick("0x1/0x1", "0x7/0xffffffff", "0x4000/0x4000", "0x0/0x4000", "0x10/0xf0", "0xff/0x0"),
		" -j MARK --set-mark "+w.pick("0x1", "0x21/0xff"), " -j MARK --or-mark 0x10", " -j MARK --and-mark 0xff0f", " -j MARK --xor-mark 0x5",
		" -j CONNMARK --save-mark"+w.pick("", " --mask 0xff", " --nfmask 0xf0 --ctmask 0xff"),
		" -j CONNMARK --restore-mark"+w.pick("", " --mask 0xff", " --nfmask 0xff --ctmask 0xf0"),
		" -j CONNMARK --set-xmark "+w.pick("0x1/0xffffffff", "0x10/0xf0", "0x5/0x0"), " -j CONNMARK --set-mark 0x7", " -j CONNMARK --or-mark 0x20", " -j CONNMARK --and-mark 0xf", " -j CONNMARK --xor-mark 0x3")
}

func (w *everythingWriter) reject() (target, needs string) {
	icmp := w.pick("icmp-port-unreachable", "icmp-host-prohibited", "icmp-admin-prohibited", "icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-net-prohibited")
	if w.six {
		icmp = w.pick("icmp6-port-unreachable", "icmp6-adm-prohibited", "icmp6-no-route", "icmp6-addr-unreachable", "icmp6-policy-fail", "icmp6-reject-route")
	}
	if w.r.Intn(3) == 0 {
		return " -j REJECT --reject-with tcp-reset", " -p tcp"
	}
	return " -j REJECT" + w.pick("", " --reject-with "+icmp), ""
}

// translation is a target of table nat. Ports are single ones: of several the kernel draws
// one by chance.
func (w *everythingWriter) translation(c userChain) (target, needs string) {
	type choice struct{ target, needs string }
	choices := []choice{{" -j ACCEPT", ""}}
	flags := w.pick("", "", "", " --persistent")
	port := w.pick("80", "8080", "2222", "53")
	proto := " -p " + w.pick("tcp", "udp", "tcp", "udp", "sctp")
	to, ranged, net := w.inside(), w.addrRange(), w.pick("198.18.1.0/24", "198.18.1.32/28", "198.18.0.64/26")
	colon := to + ":" + port
	if w.six {
		colon = "[" + to + "]:" + port
		net = w.pick("2001:db8:1ab:1::/64", "2001:db8:1ab:1::30/124", "2001:db8:1ab::/112")
	}
	if only(c, "PREROUTING", "OUTPUT") {
		choices = append(choices, choice{" -j DNAT --to-destination " + w.pick(to, ranged) + flags, ""},
			choice{" -j DNAT --to-destination " + colon + flags, proto}, choice{" -j DNAT --to-destination :" + port, proto},
			choice{" -j REDIRECT", ""}, choice{" -j REDIRECT --to-ports " + port, proto}, choice{" -j NETMAP --to " + net, ""})
	}
	if only(c, "INPUT", "POSTROUTING") {
		choices = append(choices, choice{" -j SNAT --to-source " + w.pick(to, ranged) + flags, ""},
			choice{" -j SNAT --to-source " + colon + flags, proto}, choice{" -j NETMAP --to " + net, ""})
	}
	if only(c, "POSTROUTING") {
		choices = append(choices, choice{" -j MASQUERADE", ""}, choice{" -j MASQUERADE", ""})
		if w.r.Intn(8) == 0 {
			choices = append(choices, choice{" -j MASQUERADE --to-ports " + port, proto})
		}
	}
	one := choices[w.r.Intn(len(choices))]
	return one.target, one.needs
}

func (w *everythingWriter) addrRange() string {
	if w.six {
		return w.pick("2001:db8:1ab:1::2-2001:db8:1ab:1::5", "2001:db8:1ab:1::40-2001:db8:1ab:1::40", "2001:db8:1ab:1::ff-2001:db8:1ab:1::103")
	}
	return w.pick("198.18.1.2-198.18.1.5", "198.18.1.60-198.18.1.60", "198.18.1.50-198.18.1.69")
}

// mangled is a target of table mangle.
func (w *everythingWriter) mangled(c userChain) (target, needs string) {
	switch w.r.Intn(8) {
	case 0:
		if only(c, "FORWARD", "OUTPUT", "POSTROUTING") {
			return " -j CLASSIFY --set-class " + w.pick("1:10", "0:1"), ""
		}
	case 1:
		if only(c, "PREROUTING") {
			return fmt.Sprintf(" -j TPROXY --on-port %s --tproxy-mark 0x1/0xf", w.pick("0", "80")), " -p " + w.pick("tcp", "udp")
		}
	case 2, 3:
		to := w.pick("set-mss 500", "set-mss 1200", "set-mss 1460")
		if only(c, "FORWARD", "OUTPUT", "POSTROUTING") {
			to = w.pick(to, "clamp-mss-to-pmtu")
		}
		return " -j TCPMSS --" + to, " -p tcp -m tcp " + w.pick("--syn", "--tcp-flags SYN,RST SYN", "--tcp-flags SYN SYN") + w.pick("", " -m tcpmss --mss 1000:65535")
	case 4:
		return w.pick(" -j ACCEPT", " -j RETURN", " -j DROP"), ""
	case 5:
		return w.mark(), ""
	}
	return w.rewrite(), ""
}
