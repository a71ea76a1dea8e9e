package rule

import (
	"encoding/binary"
	"math"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// PortRange is a range of ports, or of ICMP type and code, in host order.
type PortRange struct{ Lo, Hi uint16 }

var anyPort = PortRange{Hi: math.MaxUint16}

// Word is the range as rows hold it.
func (r PortRange) Word() uint32 { return uint32(r.Lo) | uint32(r.Hi)<<16 }

// Row is a row before it has a number.
type Row struct {
	ID, Action        uint32
	Flags, States     uint32
	SPort, DPort      PortRange
	Proto             uint8
	TCPMask, TCPValue uint8
	Need              uint8 // bytes of the transport header
	Src, SrcMask      [16]byte
	Dst, DstMask      [16]byte
	Program           []uint32  // with jumps; empty: none
	Ops               uint64    // the kinds of its instructions, as bits
	In, Out           *[16]byte // exact names
	Mark              *uint32
}

// Plain is the flag of a row that asks for nothing but addresses, a protocol and ports. An empty mask with flags
// to be set (--tcp-flags NONE SYN) never matches.
func (r *Row) Plain() uint32 {
	const not = abi.NotSrc | abi.NotDst | abi.NotProto | abi.NotSPort | abi.NotDPort | abi.NotTCPFlags | abi.NotState
	if r.Flags&not == 0 && r.States == 0 && r.TCPMask|r.TCPValue == 0 {
		return abi.Plain
	}
	return 0
}

// compiler turns the conditions of one rule into a row.
type compiler struct {
	family packet.Family
	Row
	prog               assembler
	sportSet, dportSet bool
	headerSet, tcpSet  bool
	icmpType           bool       // SPort holds an ICMP type, of any code
	fixed              bool       // a condition with memory or hotdrop is in the program: the rest follows it
	never              bool       // the rule matches nothing
	ports              [2]pred.Or // alternatives that become rows of their own
}

// headerBytes is header_bytes of bpf/lookup/match.h.
func headerBytes(proto uint8) uint8 {
	switch proto {
	case 6:
		return 20
	case 17, 136, 1, 58:
		return 8
	case 132, 33:
		return 12
	}
	return 0
}

// Compile gives the rows of a rule: none if it matches nothing, several for a list of
// ports. The action is left to the caller.
func Compile(family packet.Family, r *plan.Rule, to Target) ([]Row, error) {
	return new(Scratch).Compile(family, r, to)
}

// Target is what the datapath that will ask a row fills of the facts (abi.Need*), and
// whether that is the early stage.
type Target struct {
	Needs uint32
	Early bool
}

// Scratch is memory that is used again for each of many rules.
type Scratch struct {
	compiler
	rows []Row
}

// Compile gives the rows of a rule, which are valid until the next call.
func (s *Scratch) Compile(family packet.Family, r *plan.Rule, to Target) ([]Row, error) {
	c := &s.compiler
	*c = compiler{family: family, prog: c.prog.empty()}
	c.prog.Target = to
	c.Row = Row{ID: r.ID, SPort: anyPort, DPort: anyPort}
	if err := c.all(r.Conds); err != nil || c.never {
		return nil, err
	}
	if err := c.finishProgram(); err != nil {
		return nil, err
	}
	if r.Ends {
		c.Flags |= abi.EndsChain
	}
	if pred.ChangesLength(r.Action.Effect) {
		c.Ops |= 1 << abi.OpAddMSS
	}
	if pred.Demands(r.Action.Effect) != pred.DemandsNothing {
		c.Ops |= 1 << abi.OpMeetsDemand
	}
	s.rows = c.expand(s.rows[:0])
	return s.rows, nil
}

// all deals with conditions that are asked one after the other.
func (c *compiler) all(ps []pred.Pred) error {
	for _, p := range ps {
		if and, ok := p.(pred.And); ok {
			if err := c.all(and); err != nil {
				return err
			}
			continue
		}
		if c.never {
			return nil
		}
		if err := c.take(p); err != nil {
			return err
		}
	}
	return nil
}

// take deals with one condition.
func (c *compiler) take(p pred.Pred) error {
	answer, always := p.(pred.Const)
	switch {
	case always && pred.Answer(answer) == pred.Yes:
		return nil
	case c.fixed:
		return c.toProgram(p)
	case always && pred.Answer(answer) == pred.No && !c.guarded():
		c.never = true
		return nil
	case c.guard(p), c.field(p):
		return nil
	}
	c.remember(p)
	return c.toProgram(p)
}

// guarded says whether the rule, even if it matches nothing, may answer hotdrop for a
// packet with a broken header.
func (c *compiler) guarded() bool { return c.headerSet || c.Flags&abi.NeedTransport != 0 }

// guard makes a predicate that guards others a field of the row.
func (c *compiler) guard(p pred.Pred) bool {
	switch p := p.(type) {
	case pred.Header:
		return p.Len > 0 && p.Len <= 20 && c.guardHeader(uint8(p.Len), p.HotFragment)
	case pred.Transport:
		return c.guardTransport()
	}
	return false
}

// guardHeader makes the guard a field of the row, if packets that the tuples are asked
// for always pass it.
func (c *compiler) guardHeader(bytes uint8, hotFragment bool) bool {
	if c.headerSet {
		// Behind a guard that asks for as many bytes this one never fires.
		return bytes <= c.Need && (!hotFragment || c.Flags&abi.HotFragment != 0)
	}
	if !c.plainProto() || headerBytes(c.Proto) < bytes {
		return false
	}
	c.headerSet, c.Need = true, bytes
	if hotFragment {
		c.Flags |= abi.HotFragment
	}
	c.prog.guard(abi.GuardHeader)
	return true
}

// plainProto says whether the row asks for one protocol; in IPv6 also for a packet
// that has a transport header.
func (c *compiler) plainProto() bool {
	if c.family == packet.IPv6 && c.Flags&abi.NeedTransport == 0 {
		return false
	}
	return c.Flags&abi.HasProto != 0 && c.Flags&abi.NotProto == 0
}

func (c *compiler) guardTransport() bool {
	if c.Flags&abi.NeedTransport == 0 {
		if c.headerSet || c.States != 0 || c.Flags&abi.HasProto != 0 {
			return false
		}
		c.Flags |= abi.NeedTransport
		c.prog.guard(abi.GuardTransport)
	}
	return true
}

// remember remembers what a condition of the program fixes of the packet, for the tuples.
func (c *compiler) remember(p pred.Pred) {
	switch p := p.(type) {
	case pred.Name:
		value := p.Value
		switch {
		case !allOnes(p.Mask):
		case p.Of == pred.NameIn && c.prog.Needs&abi.NeedIif != 0:
			c.In = &value
		case p.Of == pred.NameOut && c.prog.Needs&abi.NeedOif != 0:
			c.Out = &value
		}
	case pred.Cmp:
		if p.Of == pred.Value(pred.FieldMark) && p.Mask == math.MaxUint32 && p.Lo == p.Hi {
			mark := p.Lo
			c.Mark = &mark
		}
	}
}

func allOnes(mask [16]byte) bool {
	return binary.NativeEndian.Uint64(mask[:]) == math.MaxUint64 && binary.NativeEndian.Uint64(mask[8:]) == math.MaxUint64
}

// toProgram adds a condition to the program.
func (c *compiler) toProgram(p pred.Pred) error {
	if !pred.Stateless(p) || mayHotdrop(p) {
		c.fixed = true
	}
	return c.prog.condition(c.family, p)
}

// mayHotdrop says whether a predicate can answer hotdrop.
func mayHotdrop(p pred.Pred) bool {
	switch p := p.(type) {
	case pred.Const:
		return pred.Answer(p) == pred.Hotdrop
	case pred.Not:
		return mayHotdrop(p.P)
	case pred.HotdropIf:
		return true
	case pred.And:
		return anyMayHotdrop(p)
	case pred.Or:
		return anyMayHotdrop(p)
	case pred.Cmp, pred.Have, pred.Addr, pred.AddrRange, pred.Name, pred.U32, pred.AddrType, pred.Limit, pred.Nth, pred.Random:
		return false
	}
	return true
}

func anyMayHotdrop(ps []pred.Pred) bool {
	for _, p := range ps {
		if mayHotdrop(p) {
			return true
		}
	}
	return false
}

func (c *compiler) finishProgram() error {
	program, err := c.prog.finish()
	if c.Program = program; len(program) > 0 {
		c.Ops = c.prog.ops
	}
	return err
}
