package match

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// multiportKind is -m multiport, revision 1.
var multiportKind = &ruleset.MatchKind{
	Name:     "multiport",
	Families: ruleset.Both,
	Doc:      "up to 15 ports; needs -p tcp, udp, udplite, sctp or dccp",
	Options: []ruleset.Option{
		{Name: "source-ports", NArgs: 1, Negate: true, Help: "source ports and ranges lo:hi, separated by commas"},
		{Name: "sports", NArgs: 1, Negate: true, Help: "the same as --source-ports"},
		{Name: "destination-ports", NArgs: 1, Negate: true, Help: "destination ports and ranges"},
		{Name: "dports", NArgs: 1, Negate: true, Help: "the same as --destination-ports"},
		{Name: "ports", NArgs: 1, Negate: true, Help: "the source or the destination port is one of these"},
	},
	New: func() ruleset.MatchBuilder { return &multiport{} },
}

// multiportMax is XT_MULTI_PORTS; a range takes two places.
const multiportMax = 15

// multiport is -m multiport.
type multiport struct {
	option string // "sports", "dports" or "ports"
	ranges []portRange
	negate bool
	proto  uint8 // of -p, which gives the names of the ports in listings
}

var portProtocols = map[uint8]string{protoTCP: "tcp", protoUDP: "udp", protoUDPLite: "udplite", protoSCTP: "sctp", protoDCCP: "dccp"}

var errPortProtocol = ruleset.InWords(errors.New("needs -p tcp, -p udp, -p udplite, -p sctp or -p dccp before it"),
	"multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'")

// Set takes one option.
func (m *multiport) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if m.option != "" {
		return fmt.Errorf("--%s and --%s cannot be used together; use -m multiport twice", m.option, option)
	}
	proto, ok := portProtocols[env.Proto]
	if !ok {
		return errPortProtocol
	}
	m.option = strings.Replace(strings.Replace(option, "source-", "s", 1), "destination-", "d", 1)
	m.negate = negate
	return m.parse(env, option, args[0], proto)
}

// parse reads the list as parse_multi_ports_v1() does.
func (m *multiport) parse(env *ruleset.Env, option, list, proto string) (err error) {
	places := 0
	for _, part := range strings.Split(list, ",") {
		var r portRange
		from, to, isRange := strings.Cut(part, ":")
		if r.lo, err = servicePort(env, option, from, proto); err != nil {
			return err
		}
		r.hi = r.lo
		places++
		if isRange {
			places++
			if r.hi, err = servicePort(env, option, to, proto); err != nil {
				return err
			}
			if r.lo >= r.hi {
				return ruleset.InWords(fmt.Errorf("--%s: %q is not a range from a lower to a higher port", option, part), "invalid portrange specified")
			}
		}
		m.ranges = append(m.ranges, r)
	}
	if places > multiportMax {
		return ruleset.InWords(fmt.Errorf("%d ports given, at most %d allowed (a range counts as two); split the rule", places, multiportMax), "too many ports specified")
	}
	return nil
}

// Done wants one option.
func (m *multiport) Done(env *ruleset.Env) error {
	m.proto = env.Proto
	if m.option == "" {
		return ruleset.InWords(fmt.Errorf("no ports given; add --sports, --dports or --ports"), "multiport expection an option")
	}
	return nil
}

// Match gives the match itself.
func (m *multiport) Match() ruleset.Match { return m }

// Word is "multiport".
func (m *multiport) Word() string { return "multiport" }

// Args prints as __multiport_save_v1() of libxt_multiport.c.
func (m *multiport) Args() []string { return ruleset.WordsOf(m.AppendText(nil)) }

// AppendText appends what iptables-save prints.
func (m *multiport) AppendText(b []byte) []byte {
	b = append(appendBang(append(b, "-m multiport "...), m.negate), "--"...)
	b = append(append(b, m.option...), ' ')
	for i, r := range m.ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.lo), 10)
		if r.lo != r.hi {
			b = strconv.AppendUint(append(b, ':'), uint64(r.hi), 10)
		}
	}
	return b
}

// Check is multiport_mt_check(): -p must name a protocol with ports.
func (m *multiport) Check(in *ruleset.Place) error {
	proto, negate, named := in.Proto()
	if _, ok := portProtocols[proto]; !ok || negate || !named {
		return errPortProtocol
	}
	return nil
}

// Eval is multiport_mt() of net/netfilter/xt_multiport.c.
func (m *multiport) Eval(f *packet.Facts) pred.Answer {
	ports, a := l4Header(f, 4)
	if a != pred.Yes {
		return a
	}
	src, dst := be16(ports), be16(ports[2:])
	for _, r := range m.ranges {
		if m.option != "dports" && r.has(src) || m.option != "sports" && r.has(dst) {
			return pred.Bool(!m.negate)
		}
	}
	return pred.Bool(m.negate)
}

// Lower gives the same in predicates.
func (m *multiport) Lower(*ruleset.Place) pred.Pred {
	var any pred.Or
	for _, r := range m.ranges {
		if m.option != "dports" {
			any = append(any, r.lower(0))
		}
		if m.option != "sports" {
			any = append(any, r.lower(2))
		}
	}
	return append(lowerL4Header(4), pred.Negated(any, m.negate))
}
