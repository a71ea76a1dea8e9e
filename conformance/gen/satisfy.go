package gen

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// satisfy sets what an option asks for; miss: what it does not match, at the
// boundary where there is one. Options that are not known are passed over.
func (g *Drawer) satisfy(d *draft, o option, miss bool) {
	miss = miss != o.negate
	arg := ""
	if len(o.args) > 0 {
		arg = o.args[0]
	}
	if f, ok := setters[o.name]; ok {
		f(g, d, arg, miss)
		return
	}
	if f, ok := argSetters[o.name]; ok {
		f(g, d, o.args, miss)
	}
}

type setter func(g *Drawer, d *draft, arg string, miss bool)

// setters are the options with one argument.
var setters = map[string]setter{
	"-s": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.Src, d.srcSet = g.address(arg, miss), true
	},
	"-d": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.Dst, d.dstSet = g.address(arg, miss), true
	},
	"--src-range": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.Src, d.srcSet = g.addrRange(arg, miss, d.spec.Src), true
	},
	"--dst-range": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.Dst, d.dstSet = g.addrRange(arg, miss, d.spec.Dst), true
	},
	"-i": func(g *Drawer, d *draft, arg string, miss bool) { d.in = g.iface(arg, miss) },
	"-o": func(g *Drawer, d *draft, arg string, miss bool) { d.out = g.iface(arg, miss) },
	"-p": func(g *Drawer, d *draft, arg string, miss bool) { d.setProto(g.proto(arg, miss)) },
	"-f": func(g *Drawer, d *draft, _ string, miss bool) {
		if !miss {
			d.spec.FragOff = uint16(1 + g.r.Intn(200))
		}
	},
	"--sport":  func(g *Drawer, d *draft, arg string, miss bool) { d.spec.SrcPort, d.sportSet = g.port(arg, miss), true },
	"--dport":  func(g *Drawer, d *draft, arg string, miss bool) { d.spec.DstPort, d.dportSet = g.port(arg, miss), true },
	"--sports": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.SrcPort, d.sportSet = g.port(arg, miss), true },
	"--dports": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.DstPort, d.dportSet = g.port(arg, miss), true },
	"--ports": func(g *Drawer, d *draft, arg string, miss bool) {
		if g.r.Intn(2) == 0 {
			d.spec.SrcPort, d.sportSet = g.port(arg, miss), true
		} else {
			d.spec.DstPort, d.dportSet = g.port(arg, miss), true
		}
	},
	"--icmp-type":   (*Drawer).icmpType,
	"--icmpv6-type": (*Drawer).icmpType,
	"--state":       (*Drawer).state,
	"--ctstate":     (*Drawer).state,
	"--mac-source": func(g *Drawer, d *draft, arg string, miss bool) {
		if m, err := net.ParseMAC(arg); err == nil && len(m) == 6 {
			if miss {
				m[5] ^= 1
			}
			d.mac = m
		}
	},
	"--length": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.Len = g.number(arg, 65535, miss) },
	"--ttl-eq": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TTL = g.around(arg, 0, miss) },
	"--ttl-lt": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TTL = g.around(arg, -1, miss) },
	"--ttl-gt": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TTL = g.around(arg, 1, miss) },
	"--hl-eq":  func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TTL = g.around(arg, 0, miss) },
	"--hl-lt":  func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TTL = g.around(arg, -1, miss) },
	"--hl-gt":  func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TTL = g.around(arg, 1, miss) },
	"--tos":    func(g *Drawer, d *draft, arg string, miss bool) { d.spec.TOS = uint8(g.masked(arg, miss)) },
	"--dscp": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.TOS = uint8(g.masked(arg, miss))<<2 | d.spec.TOS&3
	},
	"--ecn-ip-ect": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.TOS = d.spec.TOS&^3 | uint8(g.masked(arg, miss))&3
	},
	"--mark": func(g *Drawer, d *draft, arg string, miss bool) { d.mark = g.masked(arg, miss) },
	"--pkt-type": func(g *Drawer, d *draft, arg string, miss bool) {
		d.pktType = map[string]uint8{"unicast": 0, "broadcast": 1, "multicast": 2}[arg]
		if miss {
			d.pktType = (d.pktType + 1) % 3
		}
	},
	"--uid-owner": func(g *Drawer, d *draft, arg string, miss bool) { d.sock().UID = uint32(g.number(arg, 1<<31-1, miss)) },
	"--gid-owner": func(g *Drawer, d *draft, arg string, miss bool) { d.sock().GID = uint32(g.number(arg, 1<<31-1, miss)) },
	"--mss": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.Opts = append([]byte{2, 4}, binary.BigEndian.AppendUint16(nil, uint16(g.number(arg, 65535, miss)))...)
		d.spec.Flags, d.flagsSet = packet.FlagSYN, true
	},
	"--tcp-option": func(g *Drawer, d *draft, arg string, miss bool) {
		d.spec.Opts = []byte{1, uint8(g.number(arg, 255, miss)), 2, 0}
	},
	"--espspi": func(g *Drawer, d *draft, arg string, miss bool) { d.spec.SPI = uint32(g.number(arg, 1<<32-1, miss)) },
	"--ahspi":  (*Drawer).ahSPI,
	"--dst-type": func(g *Drawer, d *draft, arg string, miss bool) {
		if a, local := g.ofType(arg, miss); a.IsValid() {
			d.spec.Dst, d.dstSet, d.dstLocal = a, true, local
		}
	},
	"--src-type": func(g *Drawer, d *draft, arg string, miss bool) {
		if a, _ := g.ofType(arg, miss); a.IsValid() {
			d.spec.Src, d.srcSet = a, true
		}
	},
	"--header":      (*Drawer).header,
	"--rt-type":     func(g *Drawer, d *draft, arg string, miss bool) { g.addExt(d, 43, byte(g.number(arg, 255, miss)), 0) },
	"--rt-segsleft": func(g *Drawer, d *draft, arg string, miss bool) { g.addExt(d, 43, 0, byte(g.number(arg, 255, miss))) },
	"--fragid":      (*Drawer).fragID,
	"--fragfirst":   func(g *Drawer, d *draft, _ string, _ bool) { g.fragment(d, 0, true, 1) },
	"--fragmore":    func(g *Drawer, d *draft, _ string, _ bool) { g.fragment(d, 2, true, 1) },
	"--fraglast":    func(g *Drawer, d *draft, _ string, _ bool) { g.fragment(d, 2, false, 1) },
}

// argSetters are the options with several arguments.
var argSetters = map[string]func(g *Drawer, d *draft, args []string, miss bool){
	"--tcp-flags":   (*Drawer).tcpFlags,
	"--chunk-types": (*Drawer).chunkTypes,
}

func (d *draft) sock() *packet.Socket {
	if d.owner == nil {
		d.owner = &packet.Socket{HasFile: true}
	}
	return d.owner
}

func (g *Drawer) address(arg string, miss bool) netip.Addr {
	any := g.anyAddr()
	p, err := netip.ParsePrefix(arg)
	if err != nil {
		a, err := netip.ParseAddr(arg)
		if err != nil { // a mask that is no prefix: its address alone
			addr, _, _ := strings.Cut(arg, "/")
			if a, err = netip.ParseAddr(addr); err != nil {
				return any
			}
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4() != any.Is4() {
		return any
	}
	if miss {
		return outside(g.r, p, any)
	}
	return within(g.r, p)
}

func (g *Drawer) addrRange(arg string, miss bool, or netip.Addr) netip.Addr {
	from, to, _ := strings.Cut(arg, "-")
	lo, err1 := netip.ParseAddr(from)
	hi, err2 := netip.ParseAddr(to)
	if err1 != nil || err2 != nil {
		return or
	}
	choices := []netip.Addr{lo, hi, lo.Next()}
	if miss {
		choices = []netip.Addr{lo.Prev(), hi.Next()}
	}
	if a := choices[g.r.Intn(len(choices))]; a.IsValid() && a.BitLen() == or.BitLen() {
		return a
	}
	return lo
}

func (g *Drawer) iface(arg string, miss bool) string {
	if !miss {
		if n := concrete(arg); n == "lo" || g.hasInterface(n) {
			return n
		}
	}
	for range 8 {
		if n := g.anyInterface(); n != concrete(arg) {
			return n
		}
	}
	return g.anyInterface()
}

var protocols = map[string]uint8{
	"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132, "udplite": 136, "dccp": 33, "esp": 50, "ah": 51,
	"gre": 47, "igmp": 2, "ipv6": 41, "ospf": 89, "vrrp": 112, "ipencap": 4, "pim": 103, "ipcomp": 108, "l2tp": 115,
}

func (g *Drawer) proto(arg string, miss bool) uint8 {
	if miss {
		return g.anyProto()
	}
	if p, ok := protocols[arg]; ok {
		return p
	}
	n, err := strconv.ParseUint(arg, 10, 8)
	if err != nil || n == 0 {
		return g.anyProto()
	}
	return uint8(n)
}

// port draws from "80", "80:90" or "22,80:90,443".
func (g *Drawer) port(arg string, miss bool) uint16 {
	list := strings.Split(arg, ",")
	one := list[g.r.Intn(len(list))]
	n := g.number(one, 65535, miss)
	return uint16(min(max(n, 0), 65535))
}

// number draws from "5", "5:9" or "5-9"; an open end is 0 or limit.
func (g *Drawer) number(arg string, limit int, miss bool) int {
	from, to, isRange := strings.Cut(arg, ":")
	if !isRange {
		from, to, isRange = strings.Cut(arg, "-")
	}
	lo, err := strconv.ParseInt(from, 0, 64)
	if err != nil {
		lo = 0
	}
	hi := lo
	if isRange {
		if hi, err = strconv.ParseInt(to, 0, 64); err != nil {
			hi = int64(limit)
		}
	}
	n := number(g.r, int(lo), int(hi), limit, miss)
	return min(limit, max(0, n))
}

// around draws the value (side 0), one below (-1) or above (1) it.
func (g *Drawer) around(arg string, side int, miss bool) uint8 {
	n, _ := strconv.Atoi(arg)
	switch {
	case side == 0 && !miss:
	case side == 0:
		n += 1 - 2*g.r.Intn(2)
	case !miss:
		n += side
	}
	return uint8(n)
}

// masked draws from "value" or "value/mask": the value, or one with a bit wrong.
func (g *Drawer) masked(arg string, miss bool) uint32 {
	v, m, hasMask := strings.Cut(arg, "/")
	value, _ := strconv.ParseUint(v, 0, 32)
	mask := uint64(0xffffffff)
	if hasMask {
		mask, _ = strconv.ParseUint(m, 0, 32)
	}
	n := uint32(value) | g.r.Uint32()&^uint32(mask)
	if !hasMask && g.r.Intn(2) == 0 {
		n = uint32(value)
	}
	if miss {
		n ^= uint32(mask) & -uint32(mask)
	}
	return n
}
