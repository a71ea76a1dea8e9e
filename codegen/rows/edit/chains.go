package edit

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// NewChain takes a number for a chain without rules, of the same table as another one.
func (e *Batch) NewChain(beside int) (number int, err error) {
	h := e.m.Index
	n := h[layout.OwnFreeChain]
	switch {
	case n != 0:
		n--
		h[layout.OwnFreeChain] = e.m.Chain(int(n))[abi.ChainDead]
	case h[abi.HeaderNChains] < h[layout.OwnChainsMax]:
		n = h[abi.HeaderNChains]
		h[abi.HeaderNChains]++
	default:
		return 0, fmt.Errorf("%w: all numbers of chains are taken", ErrNoRoom)
	}
	d := e.m.Chain(int(n))
	copy(d, layout.NewChain(e.version))
	// A jump may lead there from any chain of the table.
	table, ops, needs := e.m.Chain(beside)[abi.ChainTable], ^uint64(0), ^uint32(0)
	for _, c := range e.m.of(table) {
		if e.m.Chain(c)[abi.ChainBorn] != 0 {
			ops, needs = ops&e.m.Instructions(c), needs&e.m.Needs(c)
		}
	}
	d[abi.ChainTable] = table
	e.m.SetInstructions(int(n), ops)
	e.m.SetNeeds(int(n), needs)
	e.made = append(e.made, int(n))
	return int(n), nil
}

// NewTable takes numbers for the base chains of a table, one for each of some hooks, whose rows may have some
// instructions. They accept what comes, and packets may meet them at once: no batch takes them back. slots
// are the counter slots of their policies.
func (m *Chains) NewTable(hooks []packet.Hook, ops uint64) (bases []int, slots []uint32, err error) {
	table := uint32(0)
	for c := range int(m.Index[abi.HeaderNChains]) {
		table = max(table, m.Chain(c)[abi.ChainTable])
	}
	for _, h := range hooks {
		n := m.Index[abi.HeaderNChains]
		if n >= m.Index[layout.OwnChainsMax] {
			return nil, nil, fmt.Errorf("%w: all numbers of chains are taken", ErrNoRoom)
		}
		rows, slot, err := m.take(1)
		if err != nil {
			return nil, nil, err
		}
		policy := rule.Policy(slot, false)
		m.Write(rows[0], 0, layout.FirstVersion, &policy, 0, 0)
		d := layout.NewChain(layout.FirstVersion)
		d[abi.ChainState] = layout.EveryHook&^(1<<h) | (1<<h)*layout.ReachedBy
		d[abi.ChainTable], d[abi.ChainPolicy] = table+1, rows[0]
		copy(m.Chain(int(n)), d)
		m.SetInstructions(int(n), ops)
		m.SetNeeds(int(n), abi.NeedRowsAlone)
		m.Index[abi.HeaderNChains] = n + 1
		bases, slots = append(bases, int(n)), append(slots, slot)
	}
	return bases, slots, nil
}

// PolicySlot is the counter slot of the policy of a base chain.
func (m *Chains) PolicySlot(chain int) uint32 { return m.Row(m.policyOf(m.Chain(chain)))[abi.RowID] }

// DeleteChain gives up the number of a chain, in which the version has no rules, and to which none
// of its rules leads.
func (e *Batch) DeleteChain(number int) {
	e.m.Chain(number)[abi.ChainDead] = e.version
	e.gone = append(e.gone, number)
}

// freeChain lets a number be taken again: no packet can come there.
func (m *Chains) freeChain(number int) {
	d := m.Chain(number)
	d[abi.ChainBorn], d[abi.ChainDead] = 0, m.Index[layout.OwnFreeChain]
	m.Index[layout.OwnFreeChain] = uint32(number) + 1
}

// freeChains does so with those that are gone. Packets which have seen them, and rows that lead
// there, are not in a hook any more: all others pass over those rows.
func (m *Chains) freeChains(version uint32) {
	for c := range int(m.Index[abi.HeaderNChains]) {
		if d := m.Chain(c); d[abi.ChainBorn] != 0 && d[abi.ChainDead] <= version {
			m.freeChain(c)
		}
	}
}

// Reached are the hooks (1 << packet.Hook) from which packets may come to a chain; from the others
// none do.
func (m *Chains) Reached(chain int) uint8 {
	return uint8(m.Chain(chain)[abi.ChainState] & abi.ChainReached / layout.ReachedBy)
}

// SetReached says so, as SetRefused does.
func (m *Chains) SetReached(chain int, hooks uint8) {
	d := m.Chain(chain)
	d[abi.ChainState] = d[abi.ChainState]&^abi.ChainReached | uint32(hooks)*layout.ReachedBy
}

// Refused are the hooks (1 << packet.Hook) at which rules of a chain may be refused; at the
// others none is.
func (m *Chains) Refused(chain int) uint8 {
	return uint8(m.Chain(chain)[abi.ChainState] & abi.ChainRefused)
}

// SetRefused says so. More may be refused before the rules that are show, fewer after they have
// gone: a killed process leaves what is true.
func (m *Chains) SetRefused(chain int, hooks uint8) {
	d := m.Chain(chain)
	d[abi.ChainState] = d[abi.ChainState]&^abi.ChainRefused | uint32(hooks)
}

// Bare says whether a chain has rules without rows, and Unmet whether it has jumps that lead nowhere.
func (m *Chains) Bare(chain int) bool { return m.Chain(chain)[abi.ChainState]&abi.ChainBare != 0 }

// Unmet says whether a chain has jumps that lead nowhere.
func (m *Chains) Unmet(chain int) bool { return m.Chain(chain)[abi.ChainState]&abi.ChainUnmet != 0 }

// SetBare says whether a chain has rules without rows. As with SetRefused, it may be said too
// early that it has, and too late that it has none.
func (m *Chains) SetBare(chain int, bare bool) {
	d := m.Chain(chain)
	d[abi.ChainState] &^= abi.ChainBare
	if bare {
		d[abi.ChainState] |= abi.ChainBare
	}
}
