package rows

import (
	"encoding/binary"
	"math"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// portRange is a range of ports, or of ICMP type and code, in host order.
type portRange struct{ lo, hi uint16 }

var anyPort = portRange{hi: math.MaxUint16}

func (r portRange) word() uint32 { return uint32(r.lo) | uint32(r.hi)<<16 }

// row is a row before it has a place.
type row struct {
	id, action         uint32
	flags, states      uint32
	sport, dport       portRange
	proto              uint8
	tcpMask, tcpValue  uint8
	need               uint8 // bytes of the transport header
	src, srcMask       [16]byte
	dst, dstMask       [16]byte
	program            []uint32  // with jumps; empty: none
	ops                uint32    // the kinds of its instructions, as bits
	in, out            *[16]byte // exact names
	mark               *uint32
	sportSet, dportSet bool
	headerSet, tcpSet  bool
	icmpType           bool // sport holds the type, of any code
}

// compiler turns the conditions of one rule into a row.
type compiler struct {
	family packet.Family
	row
	prog  assembler
	fixed bool       // a condition with memory or hotdrop is in the program: the rest follows it
	never bool       // the rule matches nothing
	ports [2]pred.Or // alternatives that become rows of their own
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

// compile gives the rows of a rule: none if it matches nothing, several for a list of
// ports. The action is left to the caller. how says what the datapath fills of the facts,
// and for which programs the row is.
func compile(family packet.Family, r *plan.Rule, how assembler) ([]row, error) {
	return new(scratch).compile(family, r, how)
}

// scratch is room that many rules are compiled in, one after the other: what compile
// gives is valid until the next call.
type scratch struct {
	compiler
	atoms []pred.Pred
	rows  []row
}

func (s *scratch) compile(family packet.Family, r *plan.Rule, how assembler) ([]row, error) {
	c := &s.compiler
	*c = compiler{family: family, prog: c.prog.empty()}
	c.prog.needs, c.prog.early = how.needs, how.early
	c.row = row{id: r.ID, sport: anyPort, dport: anyPort}
	s.atoms = flatten(s.atoms[:0], r.Conds)
	atoms := s.atoms
	for i := 0; i < len(atoms) && !c.never; {
		n, err := c.take(atoms[i:])
		if err != nil {
			return nil, err
		}
		i += n
	}
	if c.never {
		return nil, nil
	}
	if err := c.finishProgram(); err != nil {
		return nil, err
	}
	s.rows = c.expand(s.rows[:0])
	return s.rows, nil
}

// flatten lists conditions that are asked one after the other.
func flatten(out []pred.Pred, ps []pred.Pred) []pred.Pred {
	for _, p := range ps {
		if and, ok := p.(pred.And); ok {
			out = flatten(out, and)
			continue
		}
		out = append(out, p)
	}
	return out
}

// take deals with the first of some conditions, or the first few; n is how many.
func (c *compiler) take(atoms []pred.Pred) (n int, err error) {
	if p, ok := atoms[0].(pred.Const); ok && pred.Answer(p) == pred.Yes {
		return 1, nil
	}
	if c.fixed {
		return 1, c.toProgram(atoms[0])
	}
	if p, ok := atoms[0].(pred.Const); ok && pred.Answer(p) == pred.No && !c.guarded() {
		c.never = true
		return 1, nil
	}
	if n, bytes, hot := headerGuard(atoms); n > 0 && c.guardHeader(bytes, hot) {
		return n, nil
	}
	if c.guardTransport(atoms[0]) || c.field(atoms[0]) {
		return 1, nil
	}
	c.note(atoms[0])
	return 1, c.toProgram(atoms[0])
}

// guarded says whether the rule, even if it matches nothing, may answer hotdrop for a
// packet with a broken header.
func (c *compiler) guarded() bool { return c.headerSet || c.flags&abi.NeedTransport != 0 }

// headerGuard recognizes how matches on transport headers begin: (hotdrop at fragment
// offset 1,) no at any other offset but 0, hotdrop when bytes are missing.
func headerGuard(atoms []pred.Pred) (n int, bytes uint8, hotFragment bool) {
	if isPred(atoms[0], pred.HotdropIf{P: pred.Eq(pred.FieldFragOff, 1)}) {
		hotFragment = true
		n++
	}
	if len(atoms) < n+2 || !isPred(atoms[n], pred.Eq(pred.FieldFragOff, 0)) {
		return 0, 0, false
	}
	cut, ok := atoms[n+1].(pred.HotdropIf)
	if !ok {
		return 0, 0, false
	}
	not, ok := cut.P.(pred.Not)
	if !ok {
		return 0, 0, false
	}
	have, ok := not.P.(pred.Have)
	if !ok || have.Base != pred.BaseL4 || have.Len == 0 || have.Len > 20 {
		return 0, 0, false
	}
	return n + 2, uint8(have.Len), hotFragment
}

// isPred compares predicates that are comparable.
func isPred(p, want pred.Pred) bool {
	switch p := p.(type) {
	case pred.Cmp:
		return p == want
	case pred.HotdropIf:
		w, ok := want.(pred.HotdropIf)
		return ok && isPred(p.P, w.P)
	case pred.Not:
		w, ok := want.(pred.Not)
		return ok && isPred(p.P, w.P)
	}
	return false
}

// guardHeader makes the guard a field of the row, if packets that the tables are asked
// for always pass it.
func (c *compiler) guardHeader(bytes uint8, hotFragment bool) bool {
	if c.headerSet {
		// Behind a guard that asks for as much it never fires.
		return bytes <= c.need && (!hotFragment || c.flags&abi.HotFragment != 0)
	}
	if !c.plainProto() || headerBytes(c.proto) < bytes {
		return false
	}
	c.headerSet, c.need = true, bytes
	if hotFragment {
		c.flags |= abi.HotFragment
	}
	c.prog.guard(abi.GuardHeader)
	return true
}

// plainProto says whether the row asks for one protocol; in IPv6 also for a packet
// that has a transport header.
func (c *compiler) plainProto() bool {
	if c.family == packet.IPv6 && c.flags&abi.NeedTransport == 0 {
		return false
	}
	return c.flags&abi.HasProto != 0 && c.flags&abi.NotProto == 0
}

func (c *compiler) guardTransport(p pred.Pred) bool {
	found := pred.Eq(pred.FieldL4State, uint32(packet.L4Found))
	if !isPred(p, pred.HotdropIf{P: pred.Not{P: found}}) {
		return false
	}
	if c.flags&abi.NeedTransport == 0 {
		if c.headerSet || c.states != 0 || c.flags&abi.HasProto != 0 {
			return false
		}
		c.flags |= abi.NeedTransport
		c.prog.guard(abi.GuardTransport)
	}
	return true
}

// note remembers what a condition of the program fixes of the packet, for the tables.
func (c *compiler) note(p pred.Pred) {
	switch p := p.(type) {
	case pred.Name:
		value := p.Value
		switch {
		case !allOnes(p.Mask):
		case p.Of == pred.NameIn && c.prog.needs&abi.NeedIif != 0:
			c.in = &value
		case p.Of == pred.NameOut && c.prog.needs&abi.NeedOif != 0:
			c.out = &value
		}
	case pred.Cmp:
		if p.Of == pred.Value(pred.FieldMark) && p.Mask == math.MaxUint32 && p.Lo == p.Hi {
			mark := p.Lo
			c.mark = &mark
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
	if c.program = program; len(program) > 0 {
		c.ops = c.prog.ops
	}
	return err
}
