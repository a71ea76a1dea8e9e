package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// SetUse is what the datapath does for a slot of a named set.
type SetUse struct {
	Set string
	abi.NetfilterSetUse
}

// setOps are the changes of a set in the datapath.
var setOps = map[pred.SetOp]abi.NetfilterSetOp{
	pred.SetAdd: abi.NetfilterSetOpSET_ADD, pred.SetRenew: abi.NetfilterSetOpSET_RENEW, pred.SetDelete: abi.NetfilterSetOpSET_DELETE,
}

// setUses are the slots of a plan.
func setUses(p *plan.Plan) ([]SetUse, error) {
	out := make([]SetUse, len(p.SetUses))
	for slot, use := range p.SetUses {
		var key pred.SetKey
		u := &out[slot]
		switch use := use.(type) {
		case pred.InSet:
			key, u.Set, u.Op = use.Key, use.Set, abi.NetfilterSetOpSET_HAS
		case pred.SetUpdate:
			key, u.Set, u.Op = use.Key, use.Set, setOps[use.Op]
			u.Timeout = use.TimeoutMsec * 1_000_000
		}
		u.Words = uint32(key.Len(p.Family) / 4)
		for i, part := range key.Parts() {
			at, bytes, ok := keyCell(p.Family, part)
			if !ok {
				return nil, fmt.Errorf("%s asks for what is not in the facts", use)
			}
			to := &u.Part[i]
			to.At, to.Words = at, uint32(part.Len(p.Family)/4)
			to.Mask = ^uint32(0) >> (8 * (4*int(to.Words) - bytes))
		}
	}
	return out, nil
}

// keyCell is where a part of a key lies in the facts, and how many bytes it has there.
func keyCell(family packet.Family, p pred.KeyPart) (at uint32, bytes int, ok bool) {
	switch p.Kind {
	case pred.KeyAddr:
		return emit.Address(family, p.Addr == pred.AddrDst).Offset(), p.Len(family), p.Addr <= pred.AddrDst
	case pred.KeyName:
		area := emit.InName
		if p.Name == pred.NameOut {
			area = emit.OutName
		}
		return area.Offset(), p.Len(family), p.Name <= pred.NameOut
	case pred.KeyLoad:
		area := emit.L3
		if p.Load.Base == pred.BaseL4 {
			area = emit.L4
		}
		return area.Offset() + uint32(p.Load.Off), int(p.Load.Width), p.Load.Base != pred.BaseExt
	}
	cell, ok := emit.FieldCell(p.Field)
	at, bytes, _ = cell.Offset()
	return at, bytes, ok
}
