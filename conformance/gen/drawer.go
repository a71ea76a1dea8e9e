package gen

import (
	"math/rand"
	"net/netip"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Drawer draws packets for one ruleset.
type Drawer struct {
	family  packet.Family
	r       *rand.Rand
	ifaces  []string
	rules   []rule
	callers map[string][]int // by table and chain: the rules that jump there
	addrs   []netip.Addr     // that the rules name
	ports   []uint16         // that the rules name
	roles   map[netip.Addr]string
	routes  []lab.Route
	listen  []uint16
	id      uint16
}

// maxRoutes and maxListen bound what is asked of the lab.
const (
	maxRoutes = 400
	maxListen = 24
)

// New prepares to draw for the rules of a text of iptables-save.
func New(family packet.Family, text string, interfaces []string, seed int64) *Drawer {
	g := &Drawer{
		family: family, r: rand.New(rand.NewSource(seed)), ifaces: interfaces, rules: rules(text),
		callers: map[string][]int{}, roles: map[netip.Addr]string{},
	}
	for i, r := range g.rules {
		g.callers[r.table+" "+r.target] = append(g.callers[r.table+" "+r.target], i)
		for _, o := range r.options {
			g.learn(o)
		}
	}
	return g
}

// learn collects addresses and ports.
func (g *Drawer) learn(o option) {
	if len(o.args) == 0 {
		return
	}
	switch o.name {
	case "-s", "-d":
		addr, _, _ := strings.Cut(o.args[0], "/")
		if a, err := netip.ParseAddr(addr); err == nil && len(g.addrs) < 500 {
			g.addrs = append(g.addrs, a)
		}
	case "--dport", "--sport", "--dports", "--sports", "--ports":
		if len(g.ports) < 500 {
			g.ports = append(g.ports, g.port(o.args[0], false))
		}
	}
}

// Routes are the routes that the packets drawn so far need.
func (g *Drawer) Routes() []lab.Route { return g.routes }

// Listen are the ports on which the host must listen for the packets drawn so far.
func (g *Drawer) Listen() []uint16 { return g.listen }

// Draw draws the next packet and those that must go before it.
func (g *Drawer) Draw() []*lab.Packet {
	for range 1000 {
		var out []*lab.Packet
		if len(g.rules) == 0 || g.r.Intn(4) == 0 {
			out = g.other()
		} else {
			out = g.sequence(g.forRule())
		}
		out = slices.DeleteFunc(out, func(p *lab.Packet) bool { return p == nil })
		if len(out) > 0 {
			return out
		}
	}
	panic("gen: no packet can be made for these rules")
}

// forRule drafts a packet that a rule matches, or just misses in one option.
func (g *Drawer) forRule() *draft {
	d := g.draft()
	at := g.r.Intn(len(g.rules))
	path := []int{at}
	for len(path) < 12 && !builtIn(g.rules[at].chain) {
		up := g.callers[g.rules[at].table+" "+g.rules[at].chain]
		if len(up) == 0 {
			break
		}
		at = up[g.r.Intn(len(up))]
		path = append(path, at)
	}
	g.setHook(d, g.rules[at].chain)
	var all []option
	for i := len(path) - 1; i >= 0; i-- {
		all = append(all, g.rules[path[i]].options...)
	}
	missed := -1
	if len(all) > 0 && g.r.Intn(2) == 0 {
		missed = g.r.Intn(len(all))
	}
	// The protocol goes first: other options change its header.
	for pass := range 2 {
		for i, o := range all {
			if (o.name == "-p") == (pass == 0) {
				g.satisfy(d, o, i == missed)
			}
		}
	}
	g.complete(d)
	return d
}

func builtIn(chain string) bool {
	_, ok := tables.HookOf(chain)
	return ok
}

// setHook chooses the way of the packet from the chain it shall reach.
func (g *Drawer) setHook(d *draft, chain string) {
	both := []packet.Hook{packet.Input, packet.Forward}
	switch chain {
	case "INPUT":
		d.hook = packet.Input
	case "FORWARD":
		d.hook = packet.Forward
	case "OUTPUT":
		d.hook = packet.Output
	case "PREROUTING":
		d.hook = both[g.r.Intn(2)]
	case "POSTROUTING":
		d.hook = both[1:][0] + packet.Hook(g.r.Intn(2))
	default:
		d.hook = packet.Input + packet.Hook(g.r.Intn(3))
	}
}

func (g *Drawer) draft() *draft {
	d := &draft{spec: packet.NewSpec(g.family, 6), hook: packet.Input + packet.Hook(g.r.Intn(3))}
	g.id++
	d.spec.ID = g.id
	return d
}

// complete chooses what the options left open.
func (g *Drawer) complete(d *draft) {
	if !d.protoSet {
		d.setProto(g.anyProto())
	}
	if !d.sportSet {
		d.spec.SrcPort = g.anyPort()
	}
	if !d.dportSet {
		d.spec.DstPort = g.anyPort()
	}
	if d.spec.Proto == 6 && !d.flagsSet {
		d.spec.Flags = []uint8{packet.FlagSYN, packet.FlagSYN, packet.FlagACK, packet.FlagSYN | packet.FlagACK, packet.FlagRST, packet.FlagFIN | packet.FlagACK}[g.r.Intn(6)]
	}
	g.place(d)
}

func (g *Drawer) hasInterface(name string) bool { return slices.Contains(g.ifaces, name) }

func (g *Drawer) anyInterface() string { return g.ifaces[g.r.Intn(len(g.ifaces))] }

func (g *Drawer) anyProto() uint8 {
	icmp := uint8(1)
	if g.family == packet.IPv6 {
		icmp = 58
	}
	return []uint8{6, 6, 6, 17, 17, icmp, icmp, 132, 47, 50}[g.r.Intn(10)]
}

func (g *Drawer) anyPort() uint16 {
	if len(g.ports) > 0 && g.r.Intn(2) == 0 {
		return g.ports[g.r.Intn(len(g.ports))]
	}
	return []uint16{22, 53, 80, 443, 1024, 8080, 40000, uint16(g.r.Intn(65536))}[g.r.Intn(8)]
}

var testNets = map[packet.Family][]string{
	packet.IPv4: {"192.0.2.7", "198.51.100.9", "203.0.113.200", "10.1.2.3", "192.168.1.1", "172.17.0.2"},
	packet.IPv6: {"2001:db8:a::7", "2001:db8:b::9", "fd00::1", "2001:db8:ffff:ffff::1"},
}

func (g *Drawer) anyAddr() netip.Addr {
	if len(g.addrs) > 0 && g.r.Intn(2) == 0 {
		if a := g.addrs[g.r.Intn(len(g.addrs))]; a.Is4() == (g.family == packet.IPv4) {
			return a
		}
	}
	nets := testNets[g.family]
	return netip.MustParseAddr(nets[g.r.Intn(len(nets))])
}
