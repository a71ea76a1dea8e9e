package rule

import (
	"encoding/binary"
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Policy is the row of a policy.
func Policy(id uint32, drop bool) Row {
	r := Row{ID: id, Action: abi.DoAccept, SPort: anyPort, DPort: anyPort}
	if drop {
		r.Action = abi.DoDrop
	}
	return r
}

// Action is what a rule of a chain does, with its argument. A rule whose effect others run
// has a note instead: its words have to be put into the index, and their offset is the
// argument.
func Action(family packet.Family, r *plan.Rule, chain uint32) (do, arg uint32, words []uint32, err error) {
	switch r.Action.Op {
	case pred.Do:
		words, err = noteWords(family, r)
		return abi.DoNote, 0, words, err
	case pred.Continue:
		return abi.DoContinue, 0, nil, nil
	case pred.Accept:
		return abi.DoAccept, 0, nil, nil
	case pred.Drop:
		return abi.DoDrop, 0, nil, nil
	case pred.Return:
		return abi.DoReturn, 0, nil, nil
	case pred.Jump:
		do, arg = link(abi.DoJump, uint32(r.Class.Number), chain)
		return do, arg, nil, nil
	case pred.Goto:
		do, arg = link(abi.DoGoto, uint32(r.Class.Number), chain)
		return do, arg, nil, nil
	case pred.Up:
		return abi.DoUp, 0, nil, nil
	}
	return 0, 0, nil, fmt.Errorf("action %s cannot run in BPF", r.Action)
}

// link gives the words of a jump to a chain from its own, as chain_to() and chain_of() read them
// (bpf/lookup/rows.h).
func link(do, to, own uint32) (action, arg uint32) {
	return do | own>>(32-abi.ChainBits)<<abi.RowOwn, to | own<<abi.ChainBits
}

// To is the chain that a jump leads to.
func To(row []uint32) int { return int(row[abi.RowArg] & (1<<abi.ChainBits - 1)) }

// noteWords is what a rule asks of whoever runs its effect, as the datapath reads it.
func noteWords(family packet.Family, r *plan.Rule) ([]uint32, error) {
	words := []uint32{r.Noted(), bit(r.Action.Ends(), 0), bit(pred.Untracks(r.Action.Effect), 0), 0}
	if demand := pred.Demands(r.Action.Effect); demand != pred.DemandsNothing {
		words[3]++
		words = append(words, 0, 0, 0, 0, uint32(demand), 0, abi.HowMeetsDemand)
	}
	if c, is := pred.ChangesHeader(family, r.Action.Effect); is {
		words[3]++
		return append(words, header(c)...), nil
	}
	if pred.ChangesLength(r.Action.Effect) {
		words[3]++
		return append(words, 0, 0, 0, 0, 0, 0, abi.HowAddMSS), nil
	}
	s, is := pred.MarkChange(r.Action.Effect)
	if !is {
		return words, nil
	}
	dst, ok1 := factOf(s.Dst)
	src, ok2 := factOf(s.Src)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%s changes a field that is not in the facts", r.Action)
	}
	words[3]++
	return append(words, dst, src, s.Keep, s.And, s.Xor, uint32(int32(s.Shift)), bit(s.NeedConn, 0)*abi.HowTracked), nil
}

// header is a change of the IP header: of a word of the facts, or of a byte where it adds.
func header(c pred.HeaderChange) []uint32 {
	at := emit.L3.Offset()
	if c.Add != 0 {
		return []uint32{at + uint32(c.Off), 0, 0, 0, uint32(int32(c.Add)), 0, abi.HowAdd}
	}
	keep, xor := [4]byte{0xff, 0xff, 0xff, 0xff}, [4]byte{}
	if c.Width == 2 {
		binary.BigEndian.PutUint16(keep[c.Off%4:], c.Keep)
		binary.BigEndian.PutUint16(xor[c.Off%4:], c.Xor)
	} else {
		keep[c.Off%4], xor[c.Off%4] = byte(c.Keep), byte(c.Xor)
	}
	at += uint32(c.Off &^ 3)
	return []uint32{at, at, binary.LittleEndian.Uint32(keep[:]), 0, binary.LittleEndian.Uint32(xor[:]), 0, abi.HowAlways}
}
