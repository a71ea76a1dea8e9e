package pred

import "github.com/bpftables/bpftables/ruleset/packet"

// HeaderChange is what an effect does to a number of one or two bytes in the IP header, as
// on the wire: number = (number & Keep) ^ Xor, then + Add, kept between 0 and 255. The
// checksum of the header follows.
type HeaderChange struct {
	Off, Width uint8
	Keep, Xor  uint16
	Add        int16 // of one byte only
}

// Apply is the new value of the number.
func (c HeaderChange) Apply(n uint16) uint16 {
	n = n&c.Keep ^ c.Xor
	if c.Add == 0 {
		return n
	}
	return uint16(min(max(int(n)+int(c.Add), 0), 255))
}

// ChangesHeader is the change of the IP header that later rules see.
func ChangesHeader(family packet.Family, e Effect) (change HeaderChange, is bool) {
	switch e := e.(type) {
	case SetTOS:
		return changedTOS(family, ^e.Mask, e.Value), true
	case SetDSCP: // dscp_tg(), net/netfilter/xt_DSCP.c
		return changedTOS(family, 3, e.Value<<2), true
	case SetECN: // set_ect_ip(), net/ipv4/netfilter/ipt_ECN.c
		return changedTOS(family, ^uint8(3), e.IP&3), e.SetIP
	case SetTTL:
		c := HeaderChange{Off: 8, Width: 1, Keep: 0xff}
		if family == packet.IPv6 {
			c.Off = 7
		}
		switch e.Op {
		case TTLSet:
			c.Keep, c.Xor = 0, uint16(e.Value)
		case TTLAdd:
			c.Add = int16(e.Value)
		case TTLSub:
			c.Add = -int16(e.Value)
		}
		return c, true
	}
	return HeaderChange{}, false
}

// ChangesLength says whether an effect may make the packet longer, as later rules count it: by
// the option in which a TCP SYN announces its maximum segment size (tcpmss_mangle_packet(),
// net/netfilter/xt_TCPMSS.c).
func ChangesLength(e Effect) bool {
	_, is := e.(SetMSS)
	return is
}

// Demand is what an effect asks of a packet that it is not to drop.
type Demand uint8

// What effects ask for.
const (
	DemandsNothing   Demand = iota
	DemandsOptions          // a TCP header with its options, but of fragments nothing
	DemandsHeader           // what lies where a TCP header would be, in fragments, too
	DemandsSource           // a source whose last 64 bits are not all 1: one of its numbers takes up the checksum
	DemandsDest             // the same of the destination
	DemandsHandshake        // a whole TCP header with a right checksum that is no SYN and no plain ACK: those are taken
)

// Demands says what an effect asks of a packet.
func Demands(e Effect) Demand {
	switch e := e.(type) {
	case StripTCPOptions: // tcpoptstrip_mangle_packet(), net/netfilter/xt_TCPOPTSTRIP.c
		return DemandsOptions
	case SetECN: // set_ect_tcp(), net/ipv4/netfilter/ipt_ECN.c
		if e.SetECE || e.SetCWR {
			return DemandsHeader
		}
	case SynProxy: // synproxy_tg4(), net/ipv4/netfilter/ipt_SYNPROXY.c
		return DemandsHandshake
	case NPT: // ip6t_npt_map_pfx(), net/ipv6/netfilter/ip6t_NPT.c
		switch {
		case max(e.From.Bits(), e.To.Bits()) <= 48:
		case e.Destination:
			return DemandsDest
		default:
			return DemandsSource
		}
	}
	return DemandsNothing
}

// changedTOS is a change of the type of service, which IPv6 has behind the version.
func changedTOS(family packet.Family, keep, xor uint8) HeaderChange {
	if family == packet.IPv6 {
		return HeaderChange{Width: 2, Keep: 0xf00f | uint16(keep)<<4, Xor: uint16(xor) << 4}
	}
	return HeaderChange{Width: 2, Keep: 0xff00 | uint16(keep), Xor: uint16(xor)}
}

// Hidden is what of a packet effects have changed, and the facts do not show, as bits.
type Hidden uint8

// What can be hidden.
const (
	HiddenBytes   Hidden = 1 << iota // some bytes, for what reads them where they lie
	HiddenWay                        // what the packet is routed by (ip_route_me_harder(), net/ipv4/netfilter.c)
	HiddenOptions                    // options of TCP
	HiddenSums                       // checksums, and lengths in headers
	HiddenFlags                      // those of TCP
	HiddenMark                       // the mark of the packet
	HiddenAddrs                      // its addresses
	HiddenZone                       // the mark, which conntrack reads later (nf_ct_zone_tmpl(), include/net/netfilter/nf_conntrack_zones.h)
)

// Hides says what rules behind an effect cannot be told.
func Hides(family packet.Family, e Effect) (h Hidden) {
	if _, is := ChangesHeader(family, e); is {
		h |= HiddenBytes | HiddenWay
	}
	if ChangesLength(e) {
		h |= HiddenBytes | HiddenOptions | HiddenSums
	}
	switch Demands(e) {
	case DemandsOptions:
		h |= HiddenBytes | HiddenOptions | HiddenSums
	case DemandsHeader:
		h |= HiddenBytes | HiddenFlags | HiddenSums
	}
	if _, is := e.(NPT); is {
		h |= HiddenBytes | HiddenAddrs | HiddenWay
	}
	if _, is := e.(FillChecksum); is {
		h |= HiddenBytes | HiddenSums
	}
	if marks(e) {
		h |= HiddenWay
	}
	if marksUnknown(e) {
		h |= HiddenMark
	}
	if t, is := e.(Track); is && t.ZoneFromMark {
		h |= HiddenZone
	}
	return h
}

// marks says whether an effect changes the mark of the packet.
func marks(e Effect) bool {
	m, is := MarkChange(e)
	return is && m.Dst == FieldMark || marksUnknown(e)
}

// marksUnknown says whether it changes it to what cannot be foretold.
func marksUnknown(e Effect) bool {
	switch e := e.(type) {
	case Opaque:
		return e.Marks
	case ChangeKernelSet:
		return e.Map.Set != "" && e.MapMark
	}
	return false
}

// copiesMark says whether an effect makes something else of the mark of the packet.
func copiesMark(e Effect) bool {
	m, is := MarkChange(e)
	return is && m.Src == FieldMark && m.Dst != FieldMark
}

// AsksHidden says what of that a predicate asks.
func AsksHidden(p Pred) (h Hidden) {
	Any(p, func(part Pred) bool {
		switch p := part.(type) {
		case U32, Search:
			h |= HiddenBytes
		case TCPOption, TCPMSS:
			h |= HiddenOptions
		case Addr, AddrRange, AddrType, Recent, Meter:
			h |= HiddenAddrs
		case ReversePath:
			h |= HiddenAddrs
			if p.ByMark {
				h |= HiddenMark
			}
		case InSet:
			h |= p.Key.asksHidden()
		case SetUpdate:
			h |= p.Key.asksHidden()
		case Cmp:
			if p.Of == Value(FieldMark) {
				h |= HiddenMark
			}
			if l, is := p.Of.(Load); is {
				h |= l.readsHidden(p.Mask)
			}
		}
		return false
	})
	return h
}

// asksHidden says what of it parts of a key are.
func (k SetKey) asksHidden() (h Hidden) {
	for _, part := range k {
		switch {
		case part.Kind == KeyAddr:
			h |= HiddenAddrs
		case part.Kind == KeyField && part.Field == FieldMark:
			h |= HiddenMark
		case part.Kind == KeyLoad:
			h |= part.Load.readsHidden(^uint32(0))
		}
	}
	return h
}

// Flags of TCP, in byte 13 of its header.
const (
	tcpECE = 0x40
	tcpCWR = 0x80
)

// readsHidden says whether a number of a header has bytes of a checksum or a length, of IPv4
// and IPv6, of TCP, or of UDP; or those of TCP's flags that have to do with ECN.
func (l Load) readsHidden(mask uint32) (h Hidden) {
	if l.Base == BaseL3 && (l.overlaps(2, 6) || l.overlaps(10, 12)) || l.Base == BaseL4 && (l.overlaps(4, 8) || l.overlaps(16, 18)) {
		h |= HiddenSums
	}
	if l.Base == BaseL3 && l.overlaps(8, 40) { // in IPv6, where they can change
		h |= HiddenAddrs
	}
	if l.Base == BaseL4 && l.overlaps(13, 14) && (l.Width != 1 || mask&(tcpECE|tcpCWR) != 0) {
		h |= HiddenFlags
	}
	return h
}

func (l Load) overlaps(from, to int) bool {
	return int(l.Off) < to && int(l.Off)+int(l.Width) > from
}

// NeedsHidden says what of that an effect goes by, or changes once more. Netfilter's chains that route a packet
// again do it before the packet goes to a queue (ipt_mangle_out(),
// net/ipv4/netfilter/iptable_mangle.c), those of nf_tables do not (nf_route_table_hook4(),
// net/netfilter/nft_chain_route.c).
func NeedsHidden(e Effect) Hidden {
	switch _, is := e.(Queue); {
	case is:
		return HiddenWay
	case marks(e):
		return HiddenZone
	case copiesMark(e):
		return HiddenMark
	}
	if s, is := e.(SetUpdate); is {
		return s.Key.asksHidden()
	}
	return 0
}
