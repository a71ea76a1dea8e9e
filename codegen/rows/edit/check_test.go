package edit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/translate/plan"
)

// Living is a rule that packets should see: its first row and what it was made from.
type Living struct {
	Row  uint32
	Rule *plan.Rule
}

// Check looks for what must never be wrong in a memory between two edits: chains gives the
// rules of each in their order.
func (m *Chains) Check(chains [][]Living) error {
	linked := map[uint32]bool{}
	for i, rules := range chains {
		d := m.Chain(i)
		if err := m.checkOrder(d, rules, linked); err != nil {
			return fmt.Errorf("chain %d: %w", i, err)
		}
		if err := m.checkTables(i, rules); err != nil {
			return fmt.Errorf("chain %d: %w", i, err)
		}
		if err := m.checkPolicy(d, linked); err != nil {
			return fmt.Errorf("chain %d: %w", i, err)
		}
	}
	return m.checkFree(linked)
}

// living says whether packets see a row.
func (m *Chains) living(n uint32) bool {
	w := m.Row(n)
	return w[abi.RowBorn] <= m.Version() && m.Version() < w[abi.RowDead]
}

// list follows links.
func (m *Chains) list(first, link uint32) (out []uint32, err error) {
	for n := first; n != 0; n = m.Row(n)[link] {
		if uint32(len(out)) > m.Index[layout.OwnRowsUsed] {
			return nil, fmt.Errorf("the list of row %d is a ring", first)
		}
		out = append(out, n)
	}
	return out, nil
}

// sorted wants labels that do not fall.
func (m *Chains) sorted(list []uint32) error {
	for i := 1; i < len(list); i++ {
		if a, b := m.Row(list[i-1])[abi.RowLabel], m.Row(list[i])[abi.RowLabel]; a > b {
			return fmt.Errorf("row %d with label %d stands before row %d with label %d", list[i-1], a, list[i], b)
		}
	}
	return nil
}

// checkOrder wants the living rows in the order of the rules, and no label twice.
func (m *Chains) checkOrder(d []uint32, rules []Living, linked map[uint32]bool) error {
	list, err := m.list(d[abi.ChainFirst], abi.RowOrder)
	if err == nil {
		err = m.sorted(list)
	}
	if err != nil {
		return err
	}
	var got, want []uint32
	for _, n := range list {
		if linked[n] {
			return fmt.Errorf("row %d stands twice", n)
		}
		linked[n] = true
		if m.living(n) {
			got = append(got, n)
		}
	}
	last := uint32(0)
	for _, r := range rules {
		rows := m.rowsOf(r.Row)
		if len(rows) > 0 && m.Row(rows[0])[abi.RowLabel] <= last {
			return fmt.Errorf("row %d has label %d behind %d", r.Row, m.Row(rows[0])[abi.RowLabel], last)
		}
		for _, n := range rows {
			last = m.Row(n)[abi.RowLabel]
			if m.Row(n)[abi.RowID] != m.Row(r.Row)[abi.RowID] {
				return fmt.Errorf("row %d counts elsewhere than row %d of the same rule", n, r.Row)
			}
		}
		want = append(want, rows...)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("living rows %v, want %v", got, want)
	}
	return nil
}

// checkTables wants every living row in one tuple, where a packet that it matches looks.
func (m *Chains) checkTables(chain int, rules []Living) error {
	d := m.Chain(chain)
	if d[abi.ChainKind] != abi.KindTuples {
		return nil
	}
	places := map[uint32]location{}
	for i := range d[abi.ChainAllTuples] {
		if err := m.checkTable(d[abi.ChainTuples]+i*m.TupleSize(), places); err != nil {
			return fmt.Errorf("tuple %d: %w", i, err)
		}
	}
	for _, r := range rules {
		compiled, err := rule.Compile(m.Family, r.Rule, rule.Target{Needs: m.Needs(chain)})
		if err != nil {
			return err
		}
		rows := m.rowsOf(r.Row)
		if len(rows) != len(compiled) {
			return fmt.Errorf("row %d has %d rows, want %d", r.Row, len(rows), len(compiled))
		}
		for i, n := range rows {
			value, mask := m.Fixed(&compiled[i])
			p, ok := places[n]
			if !ok {
				return fmt.Errorf("row %d is in no tuple", n)
			}
			h := m.Hash(&value, &p.mask)
			if !p.mask.Within(&mask) || p.bucket != uint32(h>>p.shift) || p.tag != 0 && p.tag != layout.TagOf(h) {
				return fmt.Errorf("row %d lies where no packet looks: %+v", n, p)
			}
		}
	}
	return nil
}

// location is where a row lies in a tuple.
type location struct {
	mask               layout.Key
	shift, bucket, tag uint32 // tag 0: in the list
}

func (m *Chains) checkTable(at uint32, places map[uint32]location) error {
	t := m.Index[at:]
	number := uint32(0)
	var errs []error
	m.EachBucket(t, func(bucket []uint32) {
		if err := m.checkBucket(t, bucket, number, places); err != nil {
			errs = append(errs, fmt.Errorf("bucket %d: %w", number, err))
		}
		number++
	})
	return errors.Join(errs...)
}

func (m *Chains) checkBucket(t, bucket []uint32, number uint32, places map[uint32]location) error {
	list, err := m.list(bucket[abi.BucketMore], abi.RowNext)
	if err == nil {
		err = m.sorted(list)
	}
	if err != nil {
		return err
	}
	if layout.Tag(bucket, layout.MoreRows) == 0 && len(list) > 0 {
		return fmt.Errorf("no packet walks the list of %d rows", len(list))
	}
	at := location{m.ReadMask(t[abi.TupleMask:]), t[abi.TupleShift], number, 0}
	take := func(n uint32, tagged uint32) error {
		if _, twice := places[n]; twice {
			return fmt.Errorf("row %d lies in two tuples", n)
		}
		if label := m.Row(n)[abi.RowLabel]; label < t[abi.TupleLeast] || label > t[abi.TupleMost] {
			return fmt.Errorf("row %d has label %d, not between %d and %d", n, label, t[abi.TupleLeast], t[abi.TupleMost])
		}
		at.tag = tagged
		places[n] = at
		return nil
	}
	for i := range abi.BucketRows {
		if tagged := layout.Tag(bucket, i); tagged != 0 {
			err = errors.Join(err, take(layout.EntryOf(bucket, i)[abi.EntryRow]&abi.RowNumber, tagged))
		}
	}
	for _, n := range list {
		err = errors.Join(err, take(n, 0))
	}
	return err
}

// checkPolicy wants one living row of the policy, or none in a user chain.
func (m *Chains) checkPolicy(d []uint32, linked map[uint32]bool) error {
	list, err := m.list(d[abi.ChainPolicy], abi.RowOrder)
	if err != nil {
		return err
	}
	n := 0
	for _, row := range list {
		linked[row] = true
		if m.living(row) {
			n++
		}
	}
	if len(list) > 0 && n != 1 {
		return fmt.Errorf("%d living rows of the policy", n)
	}
	return nil
}

// checkFree wants no row that is free to be linked, and no counter to belong to two.
func (m *Chains) checkFree(linked map[uint32]bool) error {
	owner := map[uint32]uint32{}
	for n := range linked {
		if m.living(n) {
			owner[m.Row(n)[abi.RowID]] = n
		}
	}
	for _, first := range []uint32{m.Index[layout.OwnFree], m.Index[layout.OwnBare], m.Index[layout.OwnUnlinked]} {
		list, err := m.list(first, abi.RowArg)
		if err != nil {
			return err
		}
		for _, n := range list {
			if linked[n] {
				return fmt.Errorf("row %d is free, or free twice, or linked", n)
			}
			linked[n] = true
			id := m.Row(n)[abi.RowID]
			if other, taken := owner[id]; taken && id != noID {
				return fmt.Errorf("rows %d and %d have both counter %d", n, other, id)
			}
			owner[id] = n
		}
	}
	return nil
}

// CheckReclaimed wants that no dead row is linked.
func (m *Chains) CheckReclaimed() error {
	for i := range m.Index[abi.HeaderNChains] {
		d := m.Chain(int(i))
		for _, first := range []uint32{d[abi.ChainFirst], d[abi.ChainPolicy]} {
			list, err := m.list(first, abi.RowOrder)
			if err != nil {
				return err
			}
			for _, n := range list {
				if !m.living(n) {
					return fmt.Errorf("chain %d: row %d is dead and linked", i, n)
				}
			}
		}
	}
	return nil
}

// Taken is how many words of the index, rows and counters were ever taken.
func (m *Chains) Taken() [3]uint32 {
	return [3]uint32{m.Index[layout.OwnIndexUsed], m.Index[layout.OwnRowsUsed], m.Index[layout.OwnIDs]}
}
