// Package pred is the narrow waist between what rules say and what machines run:
// every match is lowered to a few predicates, every target to a few actions.
// The code generator knows these and nothing else.
//
// In: predicates built by the Lower methods of matches. Out: Eval, the meaning of
// a predicate in plain Go, and String, its text in plans. Nothing is refused here.
package pred

import (
	"fmt"
	"strings"
)

// Answer is what a match says of a packet.
type Answer uint8

// Netfilter's three answers. Hotdrop drops the packet at once, without crediting
// any rule (struct xt_action_param, include/linux/netfilter/x_tables.h).
const (
	No Answer = iota
	Yes
	Hotdrop
)

// String names the answer as the rows of testdata spell it.
func (a Answer) String() string { return [...]string{"no", "match", "hotdrop"}[a] }

// Bool turns a truth value into an Answer.
func Bool(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// Pred is one of the types of this package; the set is closed.
type Pred interface {
	String() string
	isPred()
}

// Const always gives the same answer.
type Const Answer

// Not turns yes into no and no into yes; hotdrop stays.
type Not struct{ P Pred }

// And asks in order and stops at the first answer that is not yes. And{} is yes.
type And []Pred

// Or asks in order and stops at the first answer that is not no. Or{} is no.
type Or []Pred

// HotdropIf is hotdrop when P is yes, else yes: the guard of a match that needs
// bytes which the packet may lack.
type HotdropIf struct{ P Pred }

// Cmp asks whether Lo <= (value & Mask) <= Hi. All of it is in host order.
type Cmp struct {
	Of           Value
	Mask, Lo, Hi uint32
}

// Value is a Field or a Load.
type Value interface {
	String() string
	isValue()
}

// Base says from where a Load counts its offset.
type Base uint8

// The bases. BaseExt is the IPv6 extension header that the last FindExt of the
// same rule found.
const (
	BaseL3  Base = iota // the IP header; offsets below 20 (IPv4) or 40 (IPv6) are always there
	BaseL4              // the transport header; offsets below 20
	BaseExt             // the extension header found by FindExt; offsets below 24
)

// Load is a big-endian number of Width (1, 2 or 4) bytes of the packet. Bytes that
// are not there read as 0: guard it with Have.
type Load struct {
	Base  Base
	Off   uint16
	Width uint8
}

// Have asks whether Len bytes (at most 20 for BaseL4, 24 for BaseExt) are there,
// counted from the start of the base.
type Have struct {
	Base Base
	Len  uint16
}

// FindExt looks for an IPv6 extension header as ipv6_find_hdr() does: no when it
// is absent, hotdrop when a header on the way is cut, if Hot is set (else no).
// With Whole, a header whose length field leads out of the packet counts as cut.
type FindExt struct {
	Header     uint8
	Hot, Whole bool
}

// AddrField names an address.
type AddrField uint8

// The addresses that rules compare. Those of conntrack are valid if FieldHasConn is 1.
const (
	AddrSrc AddrField = iota
	AddrDst
	AddrCtOrigSrc
	AddrCtOrigDst
	AddrCtReplSrc
	AddrCtReplDst
	NumAddrs
)

// Addr asks whether (address & Mask) == Value. IPv4 uses the first 4 bytes.
type Addr struct {
	Of          AddrField
	Value, Mask [16]byte
}

// AddrRange asks whether Lo <= address <= Hi, as big-endian numbers.
type AddrRange struct {
	Of     AddrField
	Lo, Hi [16]byte
}

// NameField names an interface.
type NameField uint8

// The names that rules compare, most of them of interfaces; what is absent has the empty name.
const (
	NameIn NameField = iota
	NameOut
	NamePhysIn
	NamePhysOut
	NameHelper // no interface: the helper that follows the master of the connection
	NumNames
)

// Name asks whether (interface name & Mask) == Value; names are padded with zeros
// to 16 bytes, as in ifname_compare_aligned().
type Name struct {
	Of          NameField
	Value, Mask [16]byte
}

// TCPOption asks whether the option is among the TCP options, reading them as
// tcp_find_option() of net/netfilter/xt_tcpudp.c does: hotdrop when they are cut or
// when the data offset is below 5.
type TCPOption struct{ Kind uint8 }

// TCPMSS asks whether the MSS option of a TCP packet lies in the range, reading
// options as net/netfilter/xt_tcpmss.c does; no option: no; cut, or a data offset
// below 5: hotdrop.
type TCPMSS struct{ Lo, Hi uint16 }

// DCCPOption asks whether the option is among the DCCP options
// (dccp_find_option(), net/netfilter/xt_dccp.c).
type DCCPOption struct{ Kind uint8 }

// SCTPChunks asks about the chunks of an SCTP packet (match_packet(),
// net/netfilter/xt_sctp.c).
type SCTPChunks struct {
	Mode  uint8 // 0 any, 1 all, 2 only
	Map   [8]uint32
	Flags []SCTPFlag
	Slot  int
}

// SCTPFlag constrains the flags of one chunk type: (flags & Mask) == Value.
type SCTPFlag struct{ Chunk, Mask, Value uint8 }

// U32 runs the tests of -m u32 (net/netfilter/xt_u32.c).
type U32 struct{ Tests []U32Test }

// U32Test is one "location = ranges" of -m u32.
type U32Test struct {
	Start  uint32
	Ops    []U32Op
	Ranges [][2]uint32
}

// U32Op is one step of a location: '&', '<' (shift left), '>' (shift right) or '@'.
type U32Op struct {
	Op  byte
	Arg uint32
}

// AddrType asks whether the type of an address is one of Mask (1 << RTN_*), as
// net/netfilter/xt_addrtype.c does. In and Out limit the question to an interface. Of an IPv6
// address it is asked what routing makes of it: LOCAL, ANYCAST, UNREACHABLE.
type AddrType struct {
	Of      AddrField
	Six     bool
	Mask    uint16
	In, Out bool
}

// Limit is a token bucket (net/netfilter/xt_limit.c). Avg and Burst are what the
// rule says; Cost and Cap are the same in credits of a kernel with 250 or 1000 ticks
// per second, see LimitCredits for others. Key is the identity of its state; Slot is
// given by the translator.
type Limit struct {
	Quota      *uint64 // it is one of so many bytes, and what follows is not given; else nil
	Avg, Burst uint32  // time between packets in 1/10000 s; packets
	Cost, Cap  uint32  // in credits
	Key        any
	Slot       int
}

// Quota is yes until the packets that were asked have had so many bytes (net/netfilter/xt_quota.c).
type Quota struct {
	Bytes uint64
	Key   any
	Slot  int // among those of limits
}

// Nth is yes every Every-th time, starting at Start (net/netfilter/xt_statistic.c).
type Nth struct {
	Every, Start uint32
	Key          any
	Slot         int
}

// First is what the counter of an nth begins with.
func (n Nth) First() uint32 { return n.Every - 1 - n.Start }

// Random is yes when the low 31 bits of a random number are below Threshold.
type Random struct{ Threshold uint32 }

// RecentOp is what a -m recent does.
type RecentOp uint8

// The operations of -m recent.
const (
	RecentSet RecentOp = iota
	RecentCheck
	RecentUpdate
	RecentRemove
	NumRecentOps
)

// String names the operation.
func (o RecentOp) String() string { return [...]string{"set", "check", "update", "remove"}[o] }

// Recent is -m recent (net/netfilter/xt_recent.c) on the list List. A list is one
// for all rules, tables and both families of a network namespace that name it: it
// has the mask of the first rule that the kernel checked, keeps for each address as
// many time stamps as the rule that wants most (RecentStamps), and has room for
// ip_list_tot addresses (100; both numbers are parameters of the module xt_recent).
type Recent struct {
	List    string
	Op      RecentOp
	Dst     bool // --rdest
	Mask    [16]byte
	Seconds uint32
	Hits    uint32
	TTL     bool
	Reap    bool
	Negate  bool // the answer is negated, and --update updates when the negated answer is yes
	Slot    int
}

// Unsupported stands for a match that BPF cannot ask exactly at this hook. Its
// table is left to netfilter; Reason says why, with the kernel source.
type Unsupported struct{ Reason string }

func (Const) isPred()       {}
func (Not) isPred()         {}
func (And) isPred()         {}
func (Or) isPred()          {}
func (HotdropIf) isPred()   {}
func (Cmp) isPred()         {}
func (Have) isPred()        {}
func (FindExt) isPred()     {}
func (Addr) isPred()        {}
func (AddrRange) isPred()   {}
func (Name) isPred()        {}
func (TCPOption) isPred()   {}
func (TCPMSS) isPred()      {}
func (DCCPOption) isPred()  {}
func (SCTPChunks) isPred()  {}
func (U32) isPred()         {}
func (AddrType) isPred()    {}
func (Limit) isPred()       {}
func (Quota) isPred()       {}
func (Nth) isPred()         {}
func (Random) isPred()      {}
func (Recent) isPred()      {}
func (Unsupported) isPred() {}

func (Load) isValue()  {}
func (Field) isValue() {}

// Eq is the predicate value == v.
func Eq(of Value, v uint32) Cmp { return Cmp{Of: of, Mask: ^uint32(0), Lo: v, Hi: v} }

// In is the predicate lo <= value <= hi.
func In(of Value, lo, hi uint32) Cmp { return Cmp{Of: of, Mask: ^uint32(0), Lo: lo, Hi: hi} }

// Masked is the predicate value & mask == v.
func Masked(of Value, mask, v uint32) Cmp { return Cmp{Of: of, Mask: mask, Lo: v, Hi: v} }

// Negated is Not{p} when negate is set, else p.
func Negated(p Pred, negate bool) Pred {
	if negate {
		return Not{p}
	}
	return p
}

func list(op string, ps []Pred) string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return op + "(" + strings.Join(s, ", ") + ")"
}

func (c Const) String() string     { return Answer(c).String() }
func (p Not) String() string       { return "not(" + p.P.String() + ")" }
func (p And) String() string       { return list("and", p) }
func (p Or) String() string        { return list("or", p) }
func (p HotdropIf) String() string { return "hotdrop-if(" + p.P.String() + ")" }

func (p Cmp) String() string {
	of := p.Of.String()
	if p.Mask != ^uint32(0) {
		of = fmt.Sprintf("%s & %#x", of, p.Mask)
	}
	if p.Lo == p.Hi {
		return fmt.Sprintf("%s == %#x", of, p.Lo)
	}
	return fmt.Sprintf("%s in %d..%d", of, p.Lo, p.Hi)
}

func (b Base) String() string { return [...]string{"l3", "l4", "ext"}[b] }
func (l Load) String() string { return fmt.Sprintf("%s[%d:%d]", l.Base, l.Off, l.Width) }
func (p Have) String() string { return fmt.Sprintf("have(%s, %d)", p.Base, p.Len) }
func (p FindExt) String() string {
	return fmt.Sprintf("find-ext(%d, hot=%t, whole=%t)", p.Header, p.Hot, p.Whole)
}

func (a AddrField) String() string {
	return [...]string{"src", "dst", "ct.orig.src", "ct.orig.dst", "ct.repl.src", "ct.repl.dst"}[a]
}
func (p Addr) String() string      { return fmt.Sprintf("%s & %x == %x", p.Of, p.Mask, p.Value) }
func (p AddrRange) String() string { return fmt.Sprintf("%s in %x..%x", p.Of, p.Lo, p.Hi) }
func (n NameField) String() string {
	return [...]string{"iif", "oif", "physin", "physout", "helper"}[n]
}
func (p Name) String() string {
	n := 0
	for n < 16 && p.Mask[n] != 0 {
		n++
	}
	v := strings.TrimRight(string(p.Value[:n]), "\x00")
	if n < 16 && (n == 0 || p.Value[n-1] != 0) {
		v += "+"
	}
	return fmt.Sprintf("%s == %q", p.Of, v)
}
func (p TCPOption) String() string  { return fmt.Sprintf("tcp-option(%d)", p.Kind) }
func (p TCPMSS) String() string     { return fmt.Sprintf("tcp-mss in %d..%d", p.Lo, p.Hi) }
func (p DCCPOption) String() string { return fmt.Sprintf("dccp-option(%d)", p.Kind) }
func (p SCTPChunks) String() string {
	return fmt.Sprintf("sctp-chunks(mode=%d, %x, %v)", p.Mode, p.Map, p.Flags)
}
func (p U32) String() string { return fmt.Sprintf("u32%v", p.Tests) }
func (p AddrType) String() string {
	return fmt.Sprintf("addr-type(%s, mask=%#x, in=%t, out=%t)", p.Of, p.Mask, p.In, p.Out)
}
func (p Limit) String() string  { return fmt.Sprintf("limit(cost=%d, cap=%d)", p.Cost, p.Cap) }
func (p Quota) String() string  { return fmt.Sprintf("quota(%d)", p.Bytes) }
func (p Nth) String() string    { return fmt.Sprintf("nth(every=%d, start=%d)", p.Every, p.Start) }
func (p Random) String() string { return fmt.Sprintf("random(< %d)", p.Threshold) }
func (p Recent) String() string {
	return fmt.Sprintf("recent(%s, op=%s, dst=%t, mask=%x, seconds=%d, hits=%d, ttl=%t, reap=%t, negate=%t)",
		p.List, p.Op, p.Dst, p.Mask, p.Seconds, p.Hits, p.TTL, p.Reap, p.Negate)
}
func (p Unsupported) String() string { return "unsupported(" + p.Reason + ")" }
