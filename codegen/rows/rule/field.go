package rule

import (
	"math"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// field makes a condition a field of the row, if there is one for it.
func (c *compiler) field(p pred.Pred) bool {
	negate := false
	if not, ok := p.(pred.Not); ok {
		negate, p = true, not.P
	}
	switch p := p.(type) {
	case pred.Addr:
		return c.address(p, negate)
	case pred.Or:
		return !negate && c.alternatives(p)
	case pred.Cmp:
		switch of := p.Of.(type) {
		case pred.Field:
			return c.number(of, p, negate)
		case pred.Load:
			return c.headerSet && of.Base == pred.BaseL4 && c.load(of, p, negate)
		}
	}
	return false
}

func (c *compiler) address(p pred.Addr, negate bool) bool {
	value, mask, flag := &c.Src, &c.SrcMask, abi.NotSrc
	switch p.Of {
	case pred.AddrSrc:
	case pred.AddrDst:
		value, mask, flag = &c.Dst, &c.DstMask, abi.NotDst
	default:
		return false
	}
	if *mask != [16]byte{} || c.Flags&flag != 0 {
		return false
	}
	if c.guarded() {
		// The datapath asks addresses before the guards of headers, which drop a packet
		// that a rule with -p meets, whatever is asked behind it.
		return false
	}
	*value, *mask = p.Value, p.Mask
	if negate {
		c.Flags |= flag
	}
	return true
}

func (c *compiler) number(of pred.Field, p pred.Cmp, negate bool) bool {
	switch of {
	case pred.FieldProto:
		if p.Mask != math.MaxUint32 || p.Lo != p.Hi || p.Lo > 255 || c.Flags&abi.HasProto != 0 || c.headerSet {
			return false
		}
		c.Proto = uint8(p.Lo)
		c.Flags |= abi.HasProto
		if negate {
			c.Flags |= abi.NotProto
		}
		return true
	case pred.FieldCtState:
		return c.state(p, negate)
	}
	return false
}

// state takes "one of these state bits" and "none of them".
func (c *compiler) state(p pred.Cmp, negate bool) bool {
	any := p.Lo == 1 && p.Hi == math.MaxUint32
	none := p.Lo == 0 && p.Hi == 0
	if c.States != 0 || p.Mask == 0 || p.Mask >= 1<<12 || !any && !none {
		return false
	}
	c.States = p.Mask
	if none != negate {
		c.Flags |= abi.NotState
	}
	if !c.headerSet {
		c.Flags |= abi.StateFirst
	}
	return true
}

// load takes ports, TCP flags, and type and code of ICMP.
func (c *compiler) load(of pred.Load, p pred.Cmp, negate bool) bool {
	icmp := c.Proto == 1 || c.Proto == 58
	switch {
	case icmp:
		return !negate && c.icmp(of, p)
	case of.Width == 2 && of.Off == 0 && c.Need >= 4:
		return setPort(&c.Row.SPort, &c.sportSet, &c.Flags, abi.NotSPort, p, negate)
	case of.Width == 2 && of.Off == 2 && c.Need >= 4:
		return setPort(&c.Row.DPort, &c.dportSet, &c.Flags, abi.NotDPort, p, negate)
	case of.Width == 1 && of.Off == 13 && c.Need >= 20 && c.Proto == 6:
		if c.tcpSet || p.Lo != p.Hi || p.Lo > 255 {
			return false
		}
		c.tcpSet, c.TCPMask, c.TCPValue = true, uint8(p.Mask), uint8(p.Lo)
		if negate {
			c.Flags |= abi.NotTCPFlags
		}
		return true
	}
	return false
}

func setPort(r *PortRange, set *bool, flags *uint32, flag uint32, p pred.Cmp, negate bool) bool {
	if *set || uint16(p.Mask) != math.MaxUint16 || p.Lo > p.Hi || p.Hi > math.MaxUint16 {
		return false
	}
	*set, *r = true, PortRange{uint16(p.Lo), uint16(p.Hi)}
	if negate {
		*flags |= flag
	}
	return true
}

// icmp keeps type and code where other protocols have the source port.
func (c *compiler) icmp(of pred.Load, p pred.Cmp) bool {
	if of.Width != 1 || uint8(p.Mask) != math.MaxUint8 || p.Lo > p.Hi || p.Hi > math.MaxUint8 {
		return false
	}
	switch {
	case of.Off == 0 && !c.sportSet:
		c.sportSet, c.icmpType = true, p.Lo == p.Hi
		c.SPort = PortRange{uint16(p.Lo) << 8, uint16(p.Hi)<<8 | 0xff}
		return true
	case of.Off == 1 && c.icmpType:
		c.icmpType = false
		c.SPort = PortRange{c.SPort.Lo | uint16(p.Lo), c.SPort.Lo | uint16(p.Hi)}
		return true
	}
	return false
}

// maxAlternatives is how many rows one rule may become.
const maxAlternatives = 16

// alternatives takes a list of ports: each becomes a row, all with the rule's label.
func (c *compiler) alternatives(p pred.Or) bool {
	if !c.headerSet || c.Need < 4 || len(p) == 0 || len(p) > maxAlternatives || c.ports[0] != nil {
		return false
	}
	for _, one := range p {
		cmp, ok := one.(pred.Cmp)
		if !ok {
			return false
		}
		load, ok := cmp.Of.(pred.Load)
		if !ok || load.Base != pred.BaseL4 || load.Width != 2 || load.Off > 2 || load.Off == 1 {
			return false
		}
		if load.Off == 0 && c.sportSet || load.Off == 2 && c.dportSet {
			return false
		}
		var r PortRange
		var set bool
		if !setPort(&r, &set, new(uint32), 0, cmp, false) {
			return false
		}
	}
	c.ports[0] = p
	// No other condition may take the fields.
	c.sportSet, c.dportSet = true, true
	return true
}

// expand appends a row for each alternative.
func (c *compiler) expand(out []Row) []Row {
	if c.ports[0] == nil {
		return append(out, c.Row)
	}
	for _, one := range c.ports[0] {
		r := c.Row
		cmp := one.(pred.Cmp)
		ports := PortRange{uint16(cmp.Lo), uint16(cmp.Hi)}
		if cmp.Of.(pred.Load).Off == 0 {
			r.SPort = ports
		} else {
			r.DPort = ports
		}
		out = append(out, r)
	}
	return out
}
