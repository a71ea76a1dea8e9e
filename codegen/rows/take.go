package rows

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
)

// noID as RowID of a free row: it brings no counter slot along.
const noID = ^uint32(0)

// take takes rows, and the counter slot of the rule that they belong to: one that is free
// again, or a new one.
func (m *Memory) take(count int) (rows []uint32, id uint32, err error) {
	id = noID
	from := uint32(ownFree)
	for range count {
		n, err := m.takeRow(from)
		if err != nil {
			m.freeRows(rows)
			return nil, 0, err
		}
		if id == noID {
			id = m.row(n)[abi.RowID]
		}
		rows, from = append(rows, n), ownBare
	}
	if id != noID {
		return rows, id, nil
	}
	id = m.Index[ownIDs]
	if id >= m.Index[ownIDsMax] {
		m.freeRows(rows)
		return nil, 0, fmt.Errorf("%w: all counters are taken", ErrNoRoom)
	}
	m.Index[ownIDs] = id + 1
	return rows, id, nil
}

// takeRow takes a row that is free again, one with a counter slot (ownFree) or without
// (ownBare) if there is one; a new row; or a free one of the other kind. Its RowID is
// the counter slot that it brings along.
func (m *Memory) takeRow(from uint32) (uint32, error) {
	if n := m.popRow(from); n != 0 {
		return n, nil
	}
	if n := m.Index[ownRowsUsed]; n <= m.RowsMask() && n < abi.RowNumber {
		m.Index[ownRowsUsed] = n + 1
		m.row(n)[abi.RowID] = noID
		return n, nil
	}
	if n := m.popRow(ownFree + ownBare - from); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%w: all rows are taken", ErrNoRoom)
}

func (m *Memory) freeRows(rows []uint32) {
	for _, n := range rows {
		m.freeRow(n)
	}
}

// freeRow lets a row be taken again.
func (m *Memory) freeRow(n uint32) {
	list := uint32(ownFree)
	if m.row(n)[abi.RowID] == noID {
		list = ownBare
	}
	m.row(n)[abi.RowArg] = m.Index[list]
	m.Index[list] = n
}

func (m *Memory) popRow(from uint32) uint32 {
	n := m.Index[from]
	if n != 0 {
		m.Index[from] = m.row(n)[abi.RowArg]
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
func (m *Memory) takeWords(words []uint32) (at uint32, err error) {
	class := (uint32(len(words)) + wordStep - 1) / wordStep
	if class <= wordClasses {
		if free := &m.Index[ownFreed+class-1]; *free != 0 {
			at, *free = *free, m.Index[*free]
			copy(m.Index[at:], words)
			return at, nil
		}
	}
	at = m.Index[ownIndexUsed] + 1
	if at+class*wordStep > m.IndexMask() {
		return 0, fmt.Errorf("%w: the index is full", ErrNoRoom)
	}
	m.Index[at-1] = class
	copy(m.Index[at:], words)
	m.Index[ownIndexUsed] = at + class*wordStep
	return at, nil
}

// freeWords lets words be taken again. Those of the first rows are for all that ask for
// the same.
func (m *Memory) freeWords(at uint32) {
	if at < m.Index[ownBuilt] {
		return
	}
	if class := m.Index[at-1]; class <= wordClasses {
		m.Index[at], m.Index[ownFreed+class-1] = m.Index[ownFreed+class-1], at
	}
}
