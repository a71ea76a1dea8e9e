package edit

import (
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/flow"
	"github.com/bpftables/bpftables/translate/plan"
)

// Walker gives the ways through classified chains, as the rows of a version say; it is a
// flow.Table.
type Walker struct {
	e     *Batch
	rules map[int][]flow.Rule // by chain
	first map[int][]uint32    // the first row of each of them
}

// Walk gives the ways through the chains as they are with the batch.
func (e *Batch) Walk() *Walker { return &Walker{e, map[int][]flow.Rule{}, map[int][]uint32{}} }

// ops are the actions of rows.
var ops = map[uint32]pred.Op{
	abi.DoContinue: pred.Continue, abi.DoAccept: pred.Accept, abi.DoDrop: pred.Drop, abi.DoReturn: pred.Return,
	abi.DoJump: pred.Jump, abi.DoGoto: pred.Goto, abi.DoNote: pred.Do,
}

// Rules are those of a chain, but for rules that match nothing.
func (w *Walker) Rules(chain int) []flow.Rule {
	if known, ok := w.rules[chain]; ok {
		return known
	}
	var out []flow.Rule
	var first []uint32
	w.e.each(chain, func(n uint32) bool {
		first = append(first, n)
		out = append(out, w.rule(n))
		return true
	})
	w.rules[chain], w.first[chain] = out, first
	return out
}

// each calls a function with the first row of each rule of a chain that the version shows.
func (e *Batch) each(chain int, do func(n uint32) bool) {
	label := uint32(0)
	for n := e.m.Chain(chain)[abi.ChainFirst]; n != 0; {
		row := e.m.Row(n)
		if e.shows(row) && row[abi.RowLabel] != label {
			if label = row[abi.RowLabel]; !do(n) {
				return
			}
		}
		n = row[abi.RowOrder]
	}
}

// shows says whether the version shows a row.
func (e *Batch) shows(row []uint32) bool {
	return row[abi.RowBorn] <= e.version && e.version < row[abi.RowDead]
}

func (w *Walker) rule(n uint32) flow.Rule {
	m := w.e.m
	row := m.Row(n)
	out := flow.Rule{
		Op: ops[row[abi.RowAction]&0xf], Ends: row[abi.RowAction]>>4&abi.EndsChain != 0, Always: m.always(row),
	}
	switch out.Op {
	case pred.Jump, pred.Goto:
		out.To = rule.To(row)
	case pred.Do:
		note := m.Index[row[abi.RowArg]:]
		out.Note = flow.Note{
			Number: note[abi.NoteNumber] &^ plan.NoteOnce, Once: note[abi.NoteNumber]&plan.NoteOnce != 0, Final: note[abi.NoteTerminal] != 0,
			Changes: note[abi.NoteNSets] != 0 || note[abi.NoteUntrack] != 0,
		}
	}
	return out
}

// asking are the flags of a row that say that it asks something.
const asking = abi.NotSrc | abi.NotDst | abi.HasProto | abi.NotProto | abi.NotSPort | abi.NotDPort | abi.NotTCPFlags | abi.NotState |
	abi.NeedTransport | abi.HotFragment

// everyPort is a range of ports that asks nothing.
const everyPort = 0xffff << 16

// always says whether every packet matches a row.
func (m *Chains) always(row []uint32) bool {
	return row[abi.RowAction]>>4&asking == 0 && row[abi.RowAction]>>abi.RowStates&abi.RowStatesMask == 0 && row[abi.RowProgram] == 0 &&
		row[abi.RowSPort] == everyPort && row[abi.RowDPort] == everyPort && row[abi.RowProto] == 0 &&
		!slices.ContainsFunc(row[abi.RowSrc:], func(word uint32) bool { return word != 0 })
}

// Implied says whether every packet that one rule of a chain matches is one that another
// matches, too, as far as that can be told from their fields.
func (w *Walker) Implied(chain, by, rule int) bool {
	first := w.first[chain]
	rows := w.e.m.rowsOf(first[rule])
	for _, a := range w.e.m.rowsOf(first[by]) {
		if !slices.ContainsFunc(rows, func(b uint32) bool { return w.e.m.implied(a, b) }) {
			return false
		}
	}
	return true
}

// implied says whether row b asks nothing but what row a asks.
func (m *Chains) implied(a, b uint32) bool {
	x, y := m.Row(a), m.Row(b)
	if m.always(y) {
		return true
	}
	const fields = 1<<abi.RowOwn - 1<<4 // flags and states
	if y[abi.RowProgram] != 0 || (x[abi.RowAction]^y[abi.RowAction])&fields != 0 {
		return false
	}
	return x[abi.RowSPort] == y[abi.RowSPort] && x[abi.RowDPort] == y[abi.RowDPort] && x[abi.RowProto] == y[abi.RowProto] &&
		slices.Equal(x[abi.RowSrc:], y[abi.RowSrc:])
}
