package interp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Bits of the state of a connection (enum ip_conntrack_status,
// include/uapi/linux/netfilter/nf_conntrack_common.h).
const (
	statusSource      = 1<<4 | 1<<7 // IPS_SRC_NAT, IPS_SRC_NAT_DONE
	statusDestination = 1<<5 | 1<<8 // IPS_DST_NAT, IPS_DST_NAT_DONE
)

// translation is what a rule does to the addresses of a packet.
type translation struct {
	f      *packet.Facts // a copy, that is changed
	e      pred.NAT
	source bool // which of the addresses (HOOK2MANIP(), include/net/netfilter/nf_nat.h)
	said   string
}

// changesSource says which of the addresses is settled at a hook.
func changesSource(h packet.Hook) bool { return h == packet.Input || h == packet.Postrouting }

// unasked says why netfilter does not ask chains that translate about a packet; "": it does
// (nf_nat_inet_fn(), net/netfilter/nf_nat_core.c).
func unasked(f *packet.Facts, h packet.Hook) string {
	const is = "not asked: netfilter asks chains that translate addresses about the first packet of a connection; "
	settled, what := uint32(statusDestination), "destination"
	if changesSource(h) {
		settled, what = statusSource, "source"
	}
	icmp := uint8(1)
	if f.Family == packet.IPv6 {
		icmp = 58
	}
	switch {
	case f.Conn == nil:
		return is + "this one belongs to none"
	case f.CtState&packet.CtRelated != 0 && f.L4 == packet.L4Found && f.Proto == icmp:
		return is + "an error of ICMP is translated as the connection that it tells of"
	case f.CtState&(packet.CtNew|packet.CtRelated) == 0:
		return is + "this one is translated as the first one was, and taken as given here"
	case f.Conn.Status&settled != 0:
		return is + "the " + what + " of this one is settled"
	}
	return ""
}

// translate gives the packet behind a translation, and says what that is
// (nf_nat_setup_info(), net/netfilter/nf_nat_core.c).
func translate(f *packet.Facts, h packet.Hook, e pred.NAT) (*packet.Facts, string) {
	t := translation{f: copyFacts(f), e: e, source: changesSource(h)}
	t.f.Raw = slices.Clone(f.Raw)
	what := "destination"
	if t.source {
		what = "source"
	}
	t.said = "the " + what + " becomes "
	t.address(h)
	t.port()
	t.settle()
	return t.f, t.said
}

// address finds the address, and puts it into the packet.
func (t *translation) address(h packet.Hook) {
	now := t.f.Dst()
	if t.source {
		now = t.f.Src()
	}
	to, dev := t.e.Min, ""
	switch {
	case t.e.Kind == pred.NATNetmap:
		to = hostOf(now, t.e.Net)
	case t.e.Kind == pred.NATMasquerade:
		dev = t.f.Out.Name
	case t.e.Kind == pred.NATRedirect && h == packet.Prerouting:
		dev = t.f.In.Name
	case t.e.Kind == pred.NATRedirect && t.f.Family == packet.IPv6:
		to = netip.IPv6Loopback()
	case t.e.Kind == pred.NATRedirect:
		to = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if dev != "" && t.f.World.AddrOf != nil {
		to = t.f.World.AddrOf(dev, t.f.Family)
	}
	switch {
	case to.IsValid():
		t.said += to.String()
		t.put(to)
	case t.e.Kind == pred.NATMasquerade || t.e.Kind == pred.NATRedirect:
		t.said += "the address of " + named(dev) + " (not known here: " + now.String() + " is kept)"
	default:
		t.said += now.String()
	}
	if t.e.Max.IsValid() && t.e.Max != t.e.Min {
		t.said += fmt.Sprintf(" (the first of %s-%s: the kernel chooses by a hash)", t.e.Min, t.e.Max)
	}
}

func named(dev string) string {
	if dev == "" {
		return "the interface"
	}
	return dev
}

// hostOf is a host in another network.
func hostOf(host netip.Addr, n netip.Prefix) netip.Addr {
	out, in := n.Addr().AsSlice(), host.AsSlice()
	for i := n.Bits(); i < 8*len(out); i++ {
		out[i/8] = out[i/8]&^(0x80>>(i%8)) | in[i/8]&(0x80>>(i%8))
	}
	a, _ := netip.AddrFromSlice(out)
	return a
}

// put writes the address.
func (t *translation) put(a netip.Addr) {
	off := map[bool]int{true: 12, false: 16}[t.source]
	if t.f.Family == packet.IPv6 {
		off = map[bool]int{true: 8, false: 24}[t.source]
	}
	b := a.AsSlice()
	if _, ok := t.f.Bytes(off, len(b)); ok {
		t.write(off, b)
	}
	if head := int(t.f.Raw[0]&15) * 4; t.f.Family == packet.IPv4 && head >= 20 && head <= len(t.f.Raw) {
		clear(t.f.Raw[10:12])
		binary.BigEndian.PutUint16(t.f.Raw[10:], packet.Checksum(t.f.Raw[:head], 0))
	}
}

// port finds the port, and puts it into the packet (nf_nat_l4proto_unique_tuple()).
func (t *translation) port() {
	off := int(t.f.THOff) + 2
	if t.source {
		off -= 2
	}
	b, ok := t.f.Bytes(off, 2)
	if !ok || !t.f.HasPorts() {
		return
	}
	port, size := binary.BigEndian.Uint16(b), int(t.e.Hi)-int(t.e.Lo)+1
	random, drawn := t.e.Random || t.e.Fully, false
	switch {
	case !t.e.Ports:
		drawn = random && t.source
	case t.e.Base != 0:
		port = t.e.Lo + uint16(int(port-t.e.Base)%size)
	case !random && port >= t.e.Lo && port <= t.e.Hi:
	default:
		drawn = size > 1 && (random || t.source)
		port = t.e.Lo
	}
	t.said += fmt.Sprintf(", port %d", port)
	switch {
	case drawn && t.e.Ports:
		t.said += fmt.Sprintf(" (the first of %d-%d: the kernel draws one)", t.e.Lo, t.e.Hi)
	case drawn:
		t.said += " (the kernel draws another one)"
	}
	t.write(off, binary.BigEndian.AppendUint16(nil, port))
}

// write changes bytes that the checksum of the transport header covers (RFC 1624).
func (t *translation) write(off int, b []byte) {
	sum := map[uint8]int{6: 16, 17: 6, 136: 6, 33: 6, 58: 2}[t.f.Proto] // SCTP's does not cover addresses
	was, ok := t.f.L4Bytes(sum, 2)
	if ok && sum != 0 && t.f.FragOff == 0 && !(t.f.Proto == 17 && was[0]|was[1] == 0) {
		start := ^binary.BigEndian.Uint16(was)
		for i := 0; i < len(b); i += 2 {
			gone := ^binary.BigEndian.Uint16(t.f.Raw[off+i:])
			start = ^packet.Checksum([]byte{byte(gone >> 8), byte(gone), b[i], b[i+1]}, start)
		}
		binary.BigEndian.PutUint16(was, ^start)
	}
	copy(t.f.Raw[off:], b)
}

// settle writes down what the connection is now.
func (t *translation) settle() {
	c, now := t.f.Conn, t.f.Tuple()
	if t.source {
		c.Status |= statusSource
		t.f.CtState |= packet.CtSNAT
		c.Repl.Dst, c.Repl.DstPort = now.Src, now.SrcPort
		return
	}
	c.Status |= statusDestination
	t.f.CtState |= packet.CtDNAT
	c.Repl.Src, c.Repl.SrcPort = now.Dst, now.DstPort
}
