package shapes

import (
	"math/rand/v2"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Roughen changes every few rules to something that mixed rulesets do not have:
// negated parts, interfaces, TCP flags, ICMP types, lists of ports. Interfaces are
// drawn from names, if there are any.
func (s *Ruleset) Roughen(r *rand.Rand, every int, names []string) {
	for i := range s.Rules {
		if r.IntN(every) == 0 {
			s.Rules[i].roughen(r, names)
		}
	}
}

func (r *Rule) roughen(rnd *rand.Rand, names []string) {
	switch rnd.IntN(5) {
	case 0:
		r.negate(rnd)
	case 1:
		if len(names) > 0 {
			r.In = names[rnd.IntN(len(names))]
			r.Not.In = rnd.IntN(3) == 0
		}
	case 2:
		r.List = nil
		if r.hasPorts() && r.DstPorts != AnyPort {
			r.list(rnd)
		}
	case 3:
		if r.Proto == tcp && !r.Not.Proto {
			mask := uint8(1 + rnd.IntN(63))
			r.Flags = &Flags{mask, mask & []uint8{packet.FlagSYN, packet.FlagACK, uint8(rnd.IntN(64))}[rnd.IntN(3)]}
		}
	case 4:
		if (r.Proto == icmp || r.Proto == icmpv6) && !r.Not.Proto {
			t := uint8(rnd.IntN(20))
			if r.Proto == icmpv6 {
				t += 128
			}
			r.Type = &t
		}
	}
}

// negate puts a "!" in front of a part that is there.
func (r *Rule) negate(rnd *rand.Rand) {
	switch rnd.IntN(5) {
	case 0:
		r.Not.Src = r.Src.IsValid()
	case 1:
		r.Not.Dst = r.Dst.IsValid()
	case 2:
		r.Not.SrcPorts = r.hasPorts() && r.SrcPorts != AnyPort
	case 3:
		r.Not.DstPorts = r.hasPorts() && (r.DstPorts != AnyPort || len(r.List) > 0)
	case 4:
		if r.Proto != 0 { // "! -p tcp" has no ports, flags or type
			src, dst, target := r.Src, r.Dst, r.Target
			*r = Rule{In: r.In, Src: src, Dst: dst, Proto: r.Proto, SrcPorts: AnyPort, DstPorts: AnyPort, Target: target,
				Not: Negations{In: r.Not.In, Src: r.Not.Src, Dst: r.Not.Dst, Proto: true}}
		}
	}
}

// list adds ports; with two places for a range, at most six stay below multiport's 15.
func (r *Rule) list(rnd *rand.Rand) {
	for range 1 + rnd.IntN(6) {
		from := uint16(rnd.IntN(60000))
		p := Ports{from, from}
		if rnd.IntN(3) == 0 {
			p.High += uint16(1 + rnd.IntN(500))
		}
		r.List = append(r.List, p)
	}
}
