package match

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// portOptions are --sport and --dport with their long names.
var portOptions = []ruleset.Option{
	{Name: "source-port", NArgs: 1, Negate: true, Help: "source port or range lo:hi"},
	{Name: "sport", NArgs: 1, Negate: true, Help: "the same as --source-port"},
	{Name: "destination-port", NArgs: 1, Negate: true, Help: "destination port or range lo:hi"},
	{Name: "dport", NArgs: 1, Negate: true, Help: "the same as --destination-port"},
}

// portRange is one of --sport and --dport.
type portRange struct {
	lo, hi uint16
	negate bool
}

var anyPort = portRange{hi: 65535}

// full says whether the range, not looking at its negation, holds every port.
func (r portRange) full() bool { return r.lo == 0 && r.hi == 65535 }

func (r portRange) has(port uint16) bool { return (r.lo <= port && port <= r.hi) != r.negate }

func (r portRange) args(option string) []string {
	return ruleset.WordsOf(r.appendText(nil, option)[1:])
}

// appendText appends a space, the option and its ports.
func (r portRange) appendText(b []byte, option string) []byte {
	b = appendBang(append(b, ' '), r.negate)
	b = strconv.AppendUint(append(append(b, option...), ' '), uint64(r.lo), 10)
	if r.lo != r.hi {
		b = strconv.AppendUint(append(b, ':'), uint64(r.hi), 10)
	}
	return b
}

// unprinted says whether the range is negated and not printed, as it holds every port:
// it matches none.
func (r portRange) unprinted() bool { return r.negate && r.full() }

// lower compares the two bytes at an offset of the transport header.
func (r portRange) lower(off uint16) pred.Pred {
	if r.full() && !r.negate {
		return pred.Const(pred.Yes)
	}
	return pred.Negated(pred.In(portAt[off], uint32(r.lo), uint32(r.hi)), r.negate)
}

// portAt are the two ports of a transport header, by offset.
var portAt = [...]pred.Value{
	0: pred.Load{Base: pred.BaseL4, Off: 0, Width: 2},
	2: pred.Load{Base: pred.BaseL4, Off: 2, Width: 2},
}

// portPair is the ports of tcp, udp, sctp and dccp.
type portPair struct{ src, dst portRange }

// has asks the first four bytes of a transport header.
func (p portPair) has(header []byte) bool {
	return p.src.has(be16(header)) && p.dst.has(be16(header[2:]))
}

// exact are the words of a word that prints its ports only where they are not all; nil:
// nothing of them is lost. printed is what it prints.
func (p *portPair) exact(printed func() []string) []string {
	if !p.src.unprinted() && !p.dst.unprinted() {
		return nil
	}
	args := printed()
	if p.src.unprinted() {
		args = append(args, p.src.args("--sport")...)
	}
	if p.dst.unprinted() {
		args = append(args, p.dst.args("--dport")...)
	}
	return args
}

// set stores an option if it is one of portOptions. read is how the word's library
// of options reads a range.
func (p *portPair) set(g *given, option string, negate bool, read func() (lo, hi uint16, err error)) (mine bool, err error) {
	to, name := &p.src, "sport"
	switch option {
	case "source-port", "sport":
	case "destination-port", "dport":
		to, name = &p.dst, "dport"
	default:
		return false, nil
	}
	if err = g.once(name); err != nil {
		return true, err
	}
	to.negate = negate
	to.lo, to.hi, err = read()
	return true, err
}

// servicePort reads a port or service name as xtables_parse_port() does.
func servicePort(env *ruleset.Env, option, arg, proto string) (uint16, error) {
	if v, rest, ok := strtou(arg); ok && rest == "" && v <= 65535 {
		return uint16(v), nil
	}
	if env.Resolve != nil {
		if p, ok := env.Resolve.Port(arg, proto); ok {
			return p, nil
		}
	}
	return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not a %s service or a port up to 65535", option, arg, proto), "invalid port/service `%s' specified", arg)
}

// servicePorts reads "lo", "lo:", ":hi" or "lo:hi" as parse_tcp_ports() does.
func servicePorts(env *ruleset.Env, option, arg, proto string) (lo, hi uint16, err error) {
	from, to, isRange := strings.Cut(arg, ":")
	if !isRange {
		lo, err = servicePort(env, option, arg, proto)
		return lo, lo, err
	}
	hi = 65535
	if from != "" {
		if lo, err = servicePort(env, option, from, proto); err != nil {
			return 0, 0, err
		}
	}
	if to != "" {
		if hi, err = servicePort(env, option, to, proto); err != nil {
			return 0, 0, err
		}
	}
	if lo > hi {
		return 0, 0, ruleset.InWords(fmt.Errorf("--%s: the range %q is upside down; write %d:%d", option, arg, hi, lo), "invalid portrange (min > max)")
	}
	return lo, hi, nil
}

// l4Header gives the first n bytes of the transport header: no for a fragment that
// is not the first, hotdrop when the bytes are not there.
func l4Header(f *packet.Facts, n int) ([]byte, pred.Answer) {
	if f.FragOff != 0 {
		return nil, pred.No
	}
	header, ok := f.L4Bytes(0, n)
	if !ok {
		return nil, pred.Hotdrop
	}
	return header, pred.Yes
}

// lowerL4Header is l4Header as predicates, with room for two more.
func lowerL4Header(n uint16) pred.And { return append(make(pred.And, 0, 3), headers()[n]) }

// headers ask for so many bytes of the transport header. All rules share the predicates.
var headers = sync.OnceValue(func() (ask [21]pred.Pred) {
	for n := range ask {
		ask[n] = pred.Header{Len: uint16(n)}
	}
	return ask
})

// l4Byte is one byte of the transport header.
func l4Byte(off uint16) pred.Load { return pred.Load{Base: pred.BaseL4, Off: off, Width: 1} }

// simplify leaves out what always holds; it may change ps.
func simplify(ps pred.And) pred.Pred {
	kept := ps[:0]
	for _, p := range ps {
		if p != pred.Pred(pred.Const(pred.Yes)) {
			kept = append(kept, p)
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	return kept
}

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

func be32(b []byte) uint32 { return uint32(be16(b))<<16 | uint32(be16(b[2:])) }
