package edit

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
)

// noID as RowID of a free row: it brings no counter slot along.
const noID = ^uint32(0)

// take takes rows, and the counter slot of the rule that they belong to: one that is free
// again, or a new one.
func (m *Chains) take(count int) (rows []uint32, id uint32, err error) {
	id = noID
	from := uint32(layout.OwnFree)
	for range count {
		n, err := m.takeRow(from)
		if err != nil {
			m.freeRows(rows)
			return nil, 0, err
		}
		if id == noID {
			id = m.Row(n)[abi.RowID]
		}
		rows, from = append(rows, n), layout.OwnBare
	}
	if id != noID {
		return rows, id, nil
	}
	id = m.Index[layout.OwnIDs]
	if id >= m.Index[layout.OwnIDsMax] {
		m.freeRows(rows)
		return nil, 0, fmt.Errorf("%w: all counters are taken", ErrNoRoom)
	}
	m.Index[layout.OwnIDs] = id + 1
	return rows, id, nil
}

// takeRow takes a row that is free again, one with a counter slot (ownFree) or without
// (ownBare) if there is one; a new row; or a free one of the other kind. Its RowID is
// the counter slot that it brings along.
func (m *Chains) takeRow(from uint32) (uint32, error) {
	if n := m.popRow(from); n != 0 {
		return n, nil
	}
	if n := m.Index[layout.OwnRowsUsed]; n <= m.RowsMask() && n < abi.RowNumber {
		m.Index[layout.OwnRowsUsed] = n + 1
		m.Row(n)[abi.RowID] = noID
		return n, nil
	}
	if n := m.popRow(layout.OwnFree + layout.OwnBare - from); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%w: all rows are taken", ErrNoRoom)
}

func (m *Chains) freeRows(rows []uint32) {
	for _, n := range rows {
		m.freeRow(n)
	}
}

// freeRow lets a row be taken again.
func (m *Chains) freeRow(n uint32) {
	list := uint32(layout.OwnFree)
	if m.Row(n)[abi.RowID] == noID {
		list = layout.OwnBare
	}
	m.Row(n)[abi.RowArg] = m.Index[list]
	m.Index[list] = n
}

func (m *Chains) popRow(from uint32) uint32 {
	n := m.Index[from]
	if n != 0 {
		m.Index[from] = m.Row(n)[abi.RowArg]
	}
	return n
}

// Programs and notes of rows that are put in place take a multiple of wordStep words, with
// one in front that says which; those of wordClasses steps or fewer are taken again
// once the row is free.
const (
	wordStep    = 4
	wordClasses = 16
)

// takeWords puts words into the index, for one row.
func (m *Chains) takeWords(words []uint32) (at uint32, err error) {
	class := (uint32(len(words)) + wordStep - 1) / wordStep
	if class <= wordClasses {
		if free := &m.Index[layout.OwnFreed+class-1]; *free != 0 {
			at, *free = *free, m.Index[*free]
			copy(m.Index[at:], words)
			return at, nil
		}
	}
	at = m.Index[layout.OwnIndexUsed] + 1
	if at+class*wordStep > m.IndexMask() {
		return 0, fmt.Errorf("%w: the index is full", ErrNoRoom)
	}
	m.Index[at-1] = class
	copy(m.Index[at:], words)
	m.Index[layout.OwnIndexUsed] = at + class*wordStep
	return at, nil
}

// freeWords lets words be taken again. Those of the first rows are for all that ask for
// the same.
func (m *Chains) freeWords(at uint32) {
	if at < m.Index[layout.OwnBuilt] {
		return
	}
	if class := m.Index[at-1]; class <= wordClasses {
		m.Index[at], m.Index[layout.OwnFreed+class-1] = m.Index[layout.OwnFreed+class-1], at
	}
}
