package rows

import "github.com/bpftables/bpftables/bpf/abi"

// Worn says how many dead rows lie between the living ones: packets pass over them.
func (m *Memory) Worn() int { return int(m.Index[ownDead]) }

// Reclaim takes dead rows out of all lists, and frees those that an earlier call has taken
// out. Between two versions' publication and Reclaim, and between two calls, every packet
// that was in a hook must have left it: a packet may stand on a row that is taken out, and
// goes on from it. Each slot of the counters that became free is given to clear.
func (m *Memory) Reclaim(clear func(id uint32) error) error {
	if err := m.free(clear); err != nil {
		return err
	}
	if m.Index[ownDead] == 0 {
		return nil
	}
	version := m.Version()
	dead := map[uint32]bool{}
	for n := uint32(1); n < m.Index[ownRowsUsed]; n++ {
		// Free rows have no label; policies have none and are in a list of their own.
		w := m.row(n)
		if w[abi.RowDead] <= version && w[abi.RowBorn] != 0 {
			dead[n] = true
		}
	}
	for i := range m.Index[abi.HeaderNChains] {
		m.unlinkChain(m.chain(int(i)), dead)
	}
	kept := map[uint32]bool{}
	for n := range dead {
		w := m.row(n)
		// The rows of one rule have one slot of the counters between them; a policy's
		// goes on with the next policy.
		if w[abi.RowLabel] == 0 || kept[w[abi.RowID]] {
			w[abi.RowID] = noID
		}
		kept[w[abi.RowID]] = true
		w[abi.RowBorn] = 0
		w[abi.RowArg] = m.Index[ownUnlinked]
		m.Index[ownUnlinked] = n
	}
	m.Index[ownDead] = 0
	return nil
}

// free makes rows that are out of all lists free.
func (m *Memory) free(clear func(id uint32) error) error {
	for n := m.Index[ownUnlinked]; n != 0; n = m.Index[ownUnlinked] {
		w := m.row(n)
		if w[abi.RowID] != noID {
			if err := clear(w[abi.RowID]); err != nil {
				return err
			}
		}
		m.Index[ownUnlinked] = w[abi.RowArg]
		w[abi.RowArg] = m.Index[ownFree]
		m.Index[ownFree] = n
	}
	return nil
}

// unlinkChain takes dead rows out of the lists of a chain.
func (m *Memory) unlinkChain(d []uint32, dead map[uint32]bool) {
	d[abi.ChainOwn] -= m.unlinkList(&d[abi.ChainFirst], abi.RowOrder, dead)
	m.unlinkList(&d[abi.ChainPolicy], abi.RowOrder, dead)
	if d[abi.ChainKind] != abi.KindTuples {
		return
	}
	for i := range d[abi.ChainNTuples] {
		t := m.Index[d[abi.ChainTuples]+i*familyTupleSize(m.Family):]
		for s := range uint32(1) << (64 - t[abi.TupleShift]) {
			slot := &m.Index[t[abi.TupleSlots]+s]
			if *slot == 0 {
				continue
			}
			head := *slot & abi.SlotRow
			first := head
			t[abi.TupleRows] -= m.unlinkList(&first, abi.RowNext, dead)
			switch {
			case first == 0:
				store(slot, 0)
			case first != head:
				store(slot, first|*slot&^uint32(abi.SlotRow))
			}
		}
	}
}

// unlinkList takes dead rows out of a list, and says how many; first is the word that
// holds its first row.
func (m *Memory) unlinkList(first *uint32, link uint32, dead map[uint32]bool) (n uint32) {
	for at := first; *at != 0; {
		row := m.row(*at)
		if !dead[*at] {
			at = &row[link]
			continue
		}
		store(at, row[link])
		n++
	}
	return n
}
