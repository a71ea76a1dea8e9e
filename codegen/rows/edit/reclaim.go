package edit

import (
	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
)

// Worn says how many dead rows lie between the living ones: packets pass over them.
func (m *Chains) Worn() int { return int(m.Index[layout.OwnDead]) }

// Reclaimable says whether calls of Reclaim would make anything free.
func (m *Chains) Reclaimable() bool { return m.Index[layout.OwnDead]|m.Index[layout.OwnUnlinked] != 0 }

// Unlinked tells what Reclaim would make free from what another call of it has left since: 0 if there is nothing.
func (m *Chains) Unlinked() uint32 { return m.Index[layout.OwnUnlinked] }

// crowdedRows is from how little room on the tuple without masks calls for a new layout,
// before a change finds none.
const crowdedRows = 32

// Crowded says whether many rows that were put in place fit into no tuple: a new layout
// would find them faster.
func (m *Chains) Crowded() bool {
	for i := range m.Index[abi.HeaderNChains] {
		d := m.Chain(int(i))
		for j := range d[abi.ChainAllTuples] {
			t := m.Index[d[abi.ChainTuples]+j*m.TupleSize():]
			if mask := m.ReadMask(t[abi.TupleMask:]); mask.Ones() == 0 && t[abi.TupleRows]+crowdedRows > t[abi.TupleOwn] {
				return true
			}
		}
	}
	return false
}

// Reclaim takes dead rows out of all lists, and frees those that an earlier call has taken
// out. Between two versions' publication and Reclaim, and between two calls, every packet
// that was in a hook must have left it: a packet may stand on a row that is taken out, and
// goes on from it. A slot of the counters that became free keeps what it has counted.
func (m *Chains) Reclaim() {
	m.free()
	if m.Index[layout.OwnDead] == 0 {
		return
	}
	version := m.Version()
	dead := map[uint32]bool{}
	for n := uint32(1); n < m.Index[layout.OwnRowsUsed]; n++ {
		// Free rows have no label; policies have none and are in a list of their own.
		w := m.Row(n)
		if w[abi.RowDead] <= version && w[abi.RowBorn] != 0 {
			dead[n] = true
		}
	}
	for i := range m.Index[abi.HeaderNChains] {
		m.unlinkChain(m.Chain(int(i)), dead)
	}
	m.freeChains(version)
	kept := map[uint32]bool{}
	for n := range dead {
		w := m.Row(n)
		// The rows of one rule have one slot of the counters between them; a policy's
		// goes on with the next policy.
		if w[abi.RowLabel] == 0 || kept[w[abi.RowID]] {
			w[abi.RowID] = noID
		}
		kept[w[abi.RowID]] = true
		w[abi.RowBorn] = 0
		w[rowNote] = 0 // packets that pass over the row see that it is dead, whatever it asks for
		if w[abi.RowAction]&0xf == abi.DoNote {
			w[rowNote] = w[abi.RowArg]
		}
		w[abi.RowArg] = m.Index[layout.OwnUnlinked]
		m.Index[layout.OwnUnlinked] = n
	}
	m.Index[layout.OwnDead] = 0
}

// rowNote is where a row that is out of all lists has the offset of its note.
const rowNote = abi.RowSPort

// free makes rows that are out of all lists free.
func (m *Chains) free() {
	for n := m.Index[layout.OwnUnlinked]; n != 0; n = m.Index[layout.OwnUnlinked] {
		w := m.Row(n)
		m.freeWords(w[abi.RowProgram])
		m.freeWords(w[rowNote])
		m.Index[layout.OwnUnlinked] = w[abi.RowArg]
		m.freeRow(n)
	}
}

// unlinkChain takes dead rows out of the lists of a chain.
func (m *Chains) unlinkChain(d []uint32, dead map[uint32]bool) {
	d[abi.ChainRows] -= m.unlinkList(&d[abi.ChainFirst], abi.RowOrder, dead)
	m.unlinkList(&d[abi.ChainPolicy], abi.RowOrder, dead)
	if d[abi.ChainKind] != abi.KindTuples {
		return
	}
	m.clearTrees(d, dead)
	for i := range d[abi.ChainAllTuples] {
		t := m.Index[d[abi.ChainTuples]+i*m.TupleSize():]
		m.EachBucket(t, func(bucket []uint32) { t[abi.TupleRows] -= m.unlinkBucket(bucket, dead) })
	}
}

// unlinkBucket takes dead rows out of a bucket, and says how many.
func (m *Chains) unlinkBucket(bucket []uint32, dead map[uint32]bool) (n uint32) {
	for i := range abi.BucketRows {
		if layout.Tag(bucket, i) != 0 && dead[layout.EntryOf(bucket, i)[abi.EntryRow]&abi.RowNumber] {
			layout.SetTag(bucket, i, 0)
			n++
		}
	}
	if layout.Tag(bucket, layout.MoreRows) != 0 {
		n += m.unlinkList(&bucket[abi.BucketMore], abi.RowNext, dead)
		if bucket[abi.BucketMore] == 0 {
			layout.SetTag(bucket, layout.MoreRows, 0)
		}
	}
	return n
}

// unlinkList takes dead rows out of a list, and says how many; first is the word that
// holds its first row.
func (m *Chains) unlinkList(first *uint32, link uint32, dead map[uint32]bool) (n uint32) {
	for at := first; *at != 0; {
		row := m.Row(*at)
		if !dead[*at] {
			at = &row[link]
			continue
		}
		layout.Store(at, row[link])
		n++
	}
	return n
}

// clearTrees makes holes where leaves have dead rows. A packet may be walking over the
// leaf: the others keep their positions.
func (m *Chains) clearTrees(d []uint32, dead map[uint32]bool) {
	for i := range d[abi.ChainNTrees] {
		root := m.Index[d[abi.ChainTrees]+i*abi.TreeSize+abi.TreeRoot]
		m.clearNode(root, root, dead)
	}
}

func (m *Chains) clearNode(root, at uint32, dead map[uint32]bool) {
	child := root + m.Index[at+abi.NodeChild]
	if m.Index[at+abi.NodeFacts] != abi.NodeLeaf {
		for i := range uint32(4) {
			m.clearNode(root, child+i*abi.NodeSize, dead)
		}
		return
	}
	for i := range m.Index[at+abi.NodeLimits] {
		if word := &m.Index[child+i*abi.EntrySize+abi.EntryRow]; dead[*word&abi.RowNumber] {
			layout.Store(word, 0)
		}
	}
}
