package gen

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

var flagBits = map[string]uint8{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}

func flags(arg string) (bits uint8) {
	for _, f := range strings.Split(arg, ",") {
		bits |= flagBits[f]
	}
	return bits
}

func (g *Drawer) tcpFlags(d *draft, args []string, miss bool) {
	if len(args) < 2 {
		return
	}
	mask, want := flags(args[0]), flags(args[1])
	d.flagsSet = true
	d.spec.Flags = want | uint8(g.r.Intn(256))&^mask
	if g.r.Intn(2) == 0 {
		d.spec.Flags = want
	}
	if miss && mask != 0 {
		bit := uint8(1) << g.r.Intn(6)
		for mask&bit == 0 {
			bit = bit<<1 | bit>>5
			bit &= 63
		}
		d.spec.Flags ^= bit
	}
}

func (g *Drawer) icmpType(d *draft, arg string, miss bool) {
	if arg == "any" || arg == "255" {
		return
	}
	t, code, hasCode := strings.Cut(arg, "/")
	n, err := strconv.ParseUint(t, 0, 8)
	if err != nil {
		return
	}
	d.spec.Type, d.icmpTypeSet = uint8(n), true
	d.spec.Code = uint8(g.r.Intn(2) * g.r.Intn(16))
	if hasCode {
		c := g.number(strings.ReplaceAll(code, "-", ":"), 255, miss && g.r.Intn(2) == 0)
		d.spec.Code = uint8(c)
	}
	if miss && (!hasCode || g.r.Intn(2) == 0) {
		d.spec.Type += uint8(1 + g.r.Intn(3))
	}
}

func (g *Drawer) state(d *draft, arg string, miss bool) {
	all := []string{"NEW", "ESTABLISHED", "RELATED", "INVALID"}
	list := strings.Split(arg, ",")
	if miss {
		var others []string
		for _, s := range all {
			if !strings.Contains(arg, s) {
				others = append(others, s)
			}
		}
		list = others
	}
	if len(list) > 0 {
		d.state = list[g.r.Intn(len(list))]
	}
}

var chunkTypes = map[string]byte{"DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT_ACK": 5, "ABORT": 6, "SHUTDOWN": 7,
	"SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11, "ECN_ECNE": 12, "ECN_CWR": 13, "SHUTDOWN_COMPLETE": 14, "ASCONF": 193, "ASCONF_ACK": 128}

func (g *Drawer) chunkTypes(d *draft, args []string, miss bool) {
	if len(args) < 2 {
		return
	}
	for _, one := range strings.Split(args[1], ",") {
		name, _, _ := strings.Cut(one, ":")
		if t, ok := chunkTypes[name]; ok && g.r.Intn(4) > 0 {
			d.spec.Payload = append(d.spec.Payload, t, byte(g.r.Intn(8)), 0, 4)
		}
	}
	if miss || g.r.Intn(3) == 0 {
		d.spec.Payload = append(d.spec.Payload, byte(g.r.Intn(16)), 0, 0, 4)
	}
}

func (g *Drawer) ahSPI(d *draft, arg string, miss bool) {
	spi := uint32(g.number(arg, 1<<32-1, miss))
	if g.family == packet.IPv4 {
		d.spec.SPI = spi
		return
	}
	body := make([]byte, 22)
	binary.BigEndian.PutUint32(body[2:], spi)
	d.spec.Ext = append(d.spec.Ext, packet.Ext{Header: 51, Body: body, HdrLen: -1})
}

func (g *Drawer) addExt(d *draft, header, b0, b1 byte) {
	if g.family == packet.IPv6 {
		d.spec.Ext = append(d.spec.Ext, packet.Ext{Header: header, Body: []byte{b0, b1, 0, 0, 0, 0}, HdrLen: -1})
	}
}

var headerNames = map[string]byte{"hop-by-hop": 0, "ipv6-route": 43, "ipv6-frag": 44, "ah": 51, "ipv6-opts": 60}

func (g *Drawer) header(d *draft, arg string, miss bool) {
	for _, one := range strings.Split(arg, ",") {
		h, ok := headerNames[one]
		switch {
		case !ok || miss && g.r.Intn(2) == 0:
		case h == 44:
			g.fragment(d, 0, false, 7)
		case h == 51:
			g.ahSPI(d, "7", false)
		default:
			g.addExt(d, h, 1, 4)
		}
	}
}

func (g *Drawer) fragID(d *draft, arg string, miss bool) {
	g.fragment(d, 0, false, uint32(g.number(arg, 1<<32-1, miss)))
}

// fragment adds an IPv6 fragment header; the offset is in units of 8 bytes.
func (g *Drawer) fragment(d *draft, off uint16, more bool, id uint32) {
	if g.family != packet.IPv6 {
		return
	}
	body := make([]byte, 7)
	v := off << 3
	if more {
		v |= 1
	}
	binary.BigEndian.PutUint16(body[1:], v)
	binary.BigEndian.PutUint32(body[3:], id)
	d.spec.Ext = append(d.spec.Ext, packet.Ext{Header: 44, Body: body, HdrLen: -1})
}

// ofType gives an address of a type that --src-type or --dst-type asks for, and
// whether it must be one of the host.
func (g *Drawer) ofType(arg string, miss bool) (netip.Addr, bool) {
	t, _, _ := strings.Cut(arg, ",")
	if miss {
		t = []string{"UNICAST", "LOCAL", "MULTICAST", "BROADCAST"}[g.r.Intn(4)]
	}
	six := g.family == packet.IPv6
	switch {
	case t == "LOCAL":
		return g.hostAddr(g.anyInterface()), true
	case t == "MULTICAST" && six:
		return netip.MustParseAddr("ff02::1"), false
	case t == "MULTICAST":
		return netip.MustParseAddr("224.0.0.1"), false
	case t == "BROADCAST" && !six:
		return []netip.Addr{netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("198.18.0.255")}[g.r.Intn(2)], false
	case t == "UNICAST":
		return g.anyAddr(), false
	}
	return netip.Addr{}, false
}
