package target

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// natForm is what sets DNAT, SNAT, MASQUERADE and REDIRECT apart.
type natForm struct {
	word     string
	kind     pred.NATKind
	to       string // the option with the range
	list     string // what stands before the range in a listing
	portOnly bool   // the range has no addresses
	required bool   // the range must be given
	base     bool   // a port base is allowed
	hooks    []packet.Hook
}

// NAT is one of the targets that translate addresses by a range.
type NAT struct {
	used
	form          *natForm
	Min, Max      netip.Addr // not valid: the address is not given
	Ports         bool       // Lo and Hi are given
	Lo, Hi        uint16
	Base          uint16 // 0: not given
	Random, Fully bool
	Persistent    bool
}

// Set takes one option.
func (n *NAT) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := n.once(option, negate); err != nil {
		return err
	}
	switch option {
	case "random":
		n.Random = true
	case "random-fully":
		n.Fully = true
	case "persistent":
		n.Persistent = true
	case "to-ports":
		return n.parsePorts(env, args[0])
	default:
		return n.parseTo(env, args[0])
	}
	return nil
}

// parseTo reads ADDRESS[-ADDRESS][:PORTS], IPv6 addresses in [] before ports
// (parse_to() in libxt_NAT.c of iptables).
func (n *NAT) parseTo(env *ruleset.Env, arg string) error {
	text, colon := arg, strings.IndexByte(arg, ':')
	if open := strings.IndexByte(arg, '['); open >= 0 {
		end := strings.IndexByte(arg[open:], ']')
		if end < 0 || env.Family == packet.IPv4 {
			return ruleset.InWords(fmt.Errorf("invalid address format %q; give ADDRESS[-ADDRESS][:PORT[-PORT]]", arg), "Invalid address format")
		}
		text = arg[open+1 : open+end]
		if colon = strings.IndexByte(arg[open+end:], ':'); colon >= 0 {
			colon += open + end
		}
	} else if colon >= 0 && strings.Count(arg, ":") > 1 {
		colon = -1
	} else if colon >= 0 {
		text = arg[:colon]
	}
	if colon >= 0 {
		if err := n.parsePorts(env, arg[colon+1:]); err != nil {
			return err
		}
		if colon == 0 || colon == len("[]") {
			return nil
		}
	}
	return n.parseRange(env, text)
}

func (n *NAT) parseRange(env *ruleset.Env, text string) error {
	from, to, dash := strings.Cut(text, "-")
	a, ok := parseAddr(from, env.Family)
	if !ok {
		return ruleset.InWords(fmt.Errorf("bad IP address %q; give an %s address", from, env.Family), "Bad IP address \"%s\"", from)
	}
	n.Min, n.Max = a, a
	if !dash {
		return nil
	}
	if n.Max, ok = parseAddr(to, env.Family); !ok {
		return ruleset.InWords(fmt.Errorf("bad IP address %q; give an %s address", to, env.Family), "Bad IP address \"%s\"", to)
	}
	return nil
}

// parsePorts reads PORT[-PORT[/PORT]] (parse_ports() in libxt_NAT.c of iptables).
// ICMP counts as a protocol with ports: there they are the ids of echo requests.
func (n *NAT) parsePorts(env *ruleset.Env, arg string) error {
	switch env.Proto {
	case protoTCP, protoUDP, protoSCTP, protoDCCP, protoICMP:
	default:
		return ruleset.InWords(fmt.Errorf("a port needs a protocol with ports; add -p tcp, udp, sctp or dccp before the target"), "Need TCP, UDP, SCTP or DCCP with port specification")
	}
	n.Ports = true
	v, rest, ok := leadingNumber(arg)
	if !ok || v > 0xffff {
		port, found := service(env, arg)
		if !found {
			return ruleset.InWords(fmt.Errorf("port %q is not valid; give a number from 0 to 65535 or a service", arg), "Port `%s' not valid", arg)
		}
		v, rest = uint64(port), ""
	}
	n.Lo, n.Hi = uint16(v), uint16(v)
	switch {
	case rest == "":
		return nil
	case rest[0] == ':':
		return ruleset.InWords(fmt.Errorf("%q is no port range; write it with a dash", arg), "Invalid port:port syntax - use dash")
	case rest[0] != '-':
		return ruleset.InWords(fmt.Errorf("%q has %q behind the port", arg, rest), "Garbage after port value: `%s'", rest)
	}
	return n.parseHigh(env, rest[1:])
}

func (n *NAT) parseHigh(env *ruleset.Env, arg string) error {
	v, rest, ok := leadingNumber(arg)
	if !ok || v > 0xffff {
		return ruleset.InWords(fmt.Errorf("port %q is not valid; a range needs numbers from 0 to 65535", arg), "Port `%s' not valid", arg)
	}
	if n.Hi = uint16(v); n.Hi < n.Lo {
		return ruleset.InWords(fmt.Errorf("the port range %d-%d runs backwards", n.Lo, n.Hi), "Port range `%s' funky", arg)
	}
	base, slash := strings.CutPrefix(rest, "/")
	switch {
	case rest == "":
		return nil
	case !slash:
		return ruleset.InWords(fmt.Errorf("%q is behind the port range; remove it", rest), "Garbage after port range: `%s'", rest)
	case !n.form.base:
		return ruleset.InWords(fmt.Errorf("a port base (/%s) is possible with DNAT only; remove it", base), "Shifted portmap ranges not supported with this kernel")
	}
	if v, _, ok = leadingNumber(base); !ok || v < 1 || v > 0xffff {
		port, found := service(env, base)
		if !found {
			return ruleset.InWords(fmt.Errorf("port base %q is not valid; give a number from 1 to 65535 or a service", base), "Port `%s' not valid", base)
		}
		v = uint64(port)
	}
	n.Base = uint16(v)
	return nil
}

// Done asks for the range where it must be given.
func (n *NAT) Done(*ruleset.Env) error {
	if n.form.required {
		return n.need(n.form.to)
	}
	return nil
}

// Target gives the target that was built.
func (n *NAT) Target() ruleset.Target { return n }

// Word is the name after -j.
func (n *NAT) Word() string { return n.form.word }

// Args is the text after -j.
func (n *NAT) Args() []string {
	a := []string{n.form.word}
	if r := n.rangeText(); r != "" {
		a = append(a, "--"+n.form.to, r)
	}
	return append(a, n.flags("--")...)
}

func (n *NAT) flags(dashes string) []string {
	var a []string
	if n.Random {
		a = append(a, dashes+"random")
	}
	if n.Fully {
		a = append(a, dashes+"random-fully")
	}
	if n.Persistent {
		a = append(a, dashes+"persistent")
	}
	return a
}

// rangeText prints the range (sprint_range() in libxt_NAT.c of iptables).
func (n *NAT) rangeText() string {
	s := ""
	if n.Min.IsValid() {
		s = addrText(n.Min)
		if n.Max != n.Min {
			s += "-" + addrText(n.Max)
		}
		if n.Ports && n.Min.Is6() {
			s = "[" + s + "]"
		}
	}
	if !n.Ports {
		return s
	}
	ports := decimal(n.Lo)
	if n.Hi != n.Lo {
		ports += "-" + decimal(n.Hi)
	}
	if n.Base != 0 {
		ports += "/" + decimal(n.Base)
	}
	if n.form.portOnly {
		return ports
	}
	return s + ":" + ports
}

// List is the text of iptables -L.
func (n *NAT) List(ruleset.Names) string {
	a := n.flags("")
	if r := n.rangeText(); r != "" {
		a = append([]string{n.form.list + r}, a...)
	}
	return strings.Join(a, " ")
}

// Check refuses other tables and hooks (net/netfilter/xt_nat.c, xt_MASQUERADE.c,
// xt_REDIRECT.c).
func (n *NAT) Check(in *ruleset.Place) error {
	if err := in.OnlyOf(ruleset.NAT); err != nil {
		return err
	}
	return onlyHooks(in, n.form.hooks...)
}

// NeedsConntrack says yes (xt_nat_checkentry(), net/netfilter/xt_nat.c).
func (n *NAT) NeedsConntrack() bool { return true }

// Lower gives the translation.
func (n *NAT) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.NAT{
		Kind: n.form.kind, Min: n.Min, Max: n.Max, Ports: n.Ports, Lo: n.Lo, Hi: n.Hi, Base: n.Base,
		Random: n.Random, Fully: n.Fully, Persistent: n.Persistent,
	})
}

var natForms = []*natForm{snatForm, dnatForm, masqueradeForm, redirectForm}

func natOf(e pred.NAT) ruleset.Target {
	for _, form := range natForms {
		if form.kind == e.Kind {
			return &NAT{
				form: form, Min: e.Min, Max: e.Max, Ports: e.Ports, Lo: e.Lo, Hi: e.Hi, Base: e.Base,
				Random: e.Random, Fully: e.Fully, Persistent: e.Persistent,
			}
		}
	}
	return &Netmap{To: e.Net}
}
