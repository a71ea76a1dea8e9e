package shapes

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// share is a value with its weight.
type share[T any] struct {
	value  T
	weight int
}

func pick[T any](from []share[T], r *rand.Rand) T {
	sum := 0
	for _, s := range from {
		sum += s.weight
	}
	n := r.IntN(sum)
	for _, s := range from {
		if n -= s.weight; n < 0 {
			return s.value
		}
	}
	panic("unreachable: n is below the sum of the weights")
}

// portClass is how wide a range of ports is.
type portClass int

const (
	wildcard portClass = iota
	low                // 0 to 1023
	high               // 1024 to 65535
	ranged
	exact
)

// profile is a kind of mixed ruleset. Lengths are those of IPv4; 0 is any address.
type profile struct {
	src, dst           []share[int]
	srcPorts, dstPorts []share[portClass]
	protocols          []share[uint8]
	services           int // how many ports rules share; the others are drawn
}

// length6 has for the length of an IPv4 prefix that of an IPv6 prefix.
var length6 = map[int]int{
	0: 0, 16: 36, 18: 40, 19: 44, 20: 48, 21: 52, 22: 56, 23: 60, 24: 64, 25: 72, 26: 80, 27: 88, 28: 96, 29: 104, 30: 112, 32: 128,
}

// profiles follow the parameter files of ClassBench: access lists name destinations
// and their services exactly; firewalls leave addresses open and use ranges; IP chains
// are in between.
var profiles = map[Kind]profile{
	ACL: {
		src:       []share[int]{{0, 22}, {16, 4}, {20, 6}, {22, 6}, {24, 22}, {26, 3}, {27, 3}, {28, 4}, {30, 2}, {32, 28}},
		dst:       []share[int]{{0, 2}, {16, 2}, {20, 3}, {23, 4}, {24, 15}, {27, 4}, {28, 6}, {30, 3}, {32, 61}},
		srcPorts:  []share[portClass]{{wildcard, 1}},
		dstPorts:  []share[portClass]{{wildcard, 15}, {high, 6}, {low, 1}, {ranged, 12}, {exact, 66}},
		protocols: []share[uint8]{{tcp, 75}, {udp, 17}, {icmp, 4}, {0, 4}},
		services:  120,
	},
	FW: {
		src:       []share[int]{{0, 30}, {16, 8}, {18, 4}, {20, 5}, {21, 4}, {22, 4}, {23, 4}, {24, 14}, {25, 2}, {26, 2}, {27, 3}, {28, 4}, {30, 2}, {32, 14}},
		dst:       []share[int]{{0, 24}, {16, 6}, {19, 3}, {20, 4}, {22, 4}, {23, 3}, {24, 14}, {26, 4}, {28, 4}, {29, 3}, {30, 3}, {32, 28}},
		srcPorts:  []share[portClass]{{wildcard, 70}, {high, 10}, {low, 2}, {ranged, 6}, {exact, 12}},
		dstPorts:  []share[portClass]{{wildcard, 36}, {high, 14}, {low, 2}, {ranged, 16}, {exact, 32}},
		protocols: []share[uint8]{{tcp, 55}, {udp, 28}, {icmp, 6}, {0, 7}, {gre, 2}, {esp, 2}},
		services:  300,
	},
	IPC: {
		src:       []share[int]{{0, 12}, {16, 8}, {18, 3}, {20, 6}, {22, 6}, {23, 4}, {24, 22}, {26, 4}, {27, 4}, {28, 5}, {30, 2}, {32, 24}},
		dst:       []share[int]{{0, 8}, {16, 8}, {20, 6}, {21, 3}, {22, 5}, {24, 24}, {26, 4}, {28, 4}, {32, 38}},
		srcPorts:  []share[portClass]{{wildcard, 78}, {high, 8}, {low, 2}, {ranged, 3}, {exact, 9}},
		dstPorts:  []share[portClass]{{wildcard, 42}, {high, 8}, {low, 2}, {ranged, 8}, {exact, 40}},
		protocols: []share[uint8]{{tcp, 48}, {udp, 28}, {icmp, 7}, {0, 14}, {gre, 2}, {esp, 1}},
		services:  200,
	},
}

// mixer draws the rules of a profile.
type mixer struct {
	profile
	r        *rand.Rand
	family   packet.Family
	sites    []netip.Addr // places that rules talk about; the first ones more often
	ports    []uint16     // services
	wide     int          // rules that may still be drawn with wide addresses
	existing map[string]bool
}

func newMixer(p profile, o Options) *mixer {
	m := &mixer{profile: p, r: rand.New(rand.NewPCG(o.Seed, 1)), family: o.Family, existing: map[string]bool{}}
	for range max(4, min(o.Rules/12, 4096)) {
		m.sites = append(m.sites, fill(space(o.Family), m.r))
	}
	m.ports = []uint16{22, 25, 53, 80, 110, 123, 143, 161, 443, 445, 993, 1433, 3306, 3389, 5060, 8080}
	for len(m.ports) < p.services {
		m.ports = append(m.ports, uint16(1+m.r.IntN(12000)))
	}
	m.wide = 1 + o.Rules/100
	return m
}

// rules are n different rules. Narrow ones tend to come first, as people write them:
// otherwise a few wide ones would match everything.
func (m *mixer) rules(n int) []Rule {
	type ranked struct {
		Rule
		rank float64
	}
	var all []ranked
	for len(all) < n {
		r := m.rule()
		bits := r.Src.Bits() + r.Dst.Bits() // -1 for any
		if bits < m.minBits() {
			if m.wide == 0 {
				continue
			}
			m.wide--
		}
		text := r.Text()
		if m.existing[text] {
			continue
		}
		m.existing[text] = true
		all = append(all, ranked{r, float64(bits) + 12*m.r.Float64()})
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.rank, a.rank) })
	out := make([]Rule, n)
	for i := range all {
		out[i] = all[i].Rule
	}
	return out
}

// minBits is how many address bits a rule has unless it is one of the few wide ones.
func (m *mixer) minBits() int {
	if m.family == packet.IPv6 {
		return 60
	}
	return 23
}

func (m *mixer) rule() Rule {
	r := Rule{SrcPorts: AnyPort, DstPorts: AnyPort, Src: m.prefix(m.src), Dst: m.prefix(m.dst), Proto: pick(m.protocols, m.r)}
	if r.Proto == icmp && m.family == packet.IPv6 {
		r.Proto = icmpv6
	}
	if r.Proto == tcp || r.Proto == udp {
		r.SrcPorts, r.DstPorts = m.portRange(m.srcPorts), m.portRange(m.dstPorts)
	}
	return r
}

// prefix is that of a site or, if longer than 24 (64) bits, of something in it.
func (m *mixer) prefix(lengths []share[int]) netip.Prefix {
	bits, siteBits := pick(lengths, m.r), 24
	if bits == 0 {
		return netip.Prefix{}
	}
	if m.family == packet.IPv6 {
		bits, siteBits = length6[bits], 64
	}
	// The square makes the first sites more popular.
	f := m.r.Float64()
	site := m.sites[int(f*f*float64(len(m.sites)))]
	if bits > siteBits {
		site = fill(netip.PrefixFrom(site, siteBits).Masked(), m.r)
	}
	return netip.PrefixFrom(site, bits).Masked()
}

func (m *mixer) portRange(classes []share[portClass]) Ports {
	switch pick(classes, m.r) {
	case low:
		return Ports{0, 1023}
	case high:
		return Ports{1024, 65535}
	case ranged:
		from := m.ports[m.r.IntN(len(m.ports))]
		return Ports{from, from + uint16(1+m.r.IntN(1<<(1+m.r.IntN(10))))}
	case exact:
		p := m.ports[m.r.IntN(len(m.ports))]
		return Ports{p, p}
	}
	return AnyPort
}
