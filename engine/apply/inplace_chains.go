package apply

import (
	"slices"

	"github.com/bpftables/bpftables/engine/state"
)

// Jumps is how many rules jump to a chain.
func (ed *editor) Jumps(table, chain string) int {
	t := ed.tables[table]
	if t == nil || ed.settleRefills(t) != nil || ed.countJumps(t) != nil {
		return 0
	}
	return t.jumps[chain]
}

func (ed *editor) countJumps(t *tableEditor) (err error) {
	if t.jumps == nil {
		if t.jumps, err = t.state.Jumps(); err != nil {
			ed.err = err
		}
	}
	return err
}

// count counts a rule that comes, or goes.
func (t *tableEditor) count(r *state.Rule, by int) {
	if t.jumps == nil {
		return
	}
	if to := r.Jump(); to != "" {
		t.jumps[to] += by
	}
}

// NewChain makes a user chain.
func (ed *editor) NewChain(table, chain string) error {
	t := ed.table(table)
	if t == nil || ed.taken(t, chain) {
		return errNotInPlace
	}
	beside := slices.IndexFunc(t.state.Chains(), func(c *state.Chain) bool { return c.Class != state.None })
	if beside < 0 {
		return errNotInPlace
	}
	number, err := ed.rows.NewChain(int(t.state.Chains()[beside].Class))
	if err != nil {
		return ed.fail(err)
	}
	ed.state.NewChain(t.state, chain, uint32(number))
	return nil
}

// taken says whether rules are stored in words that would mean a jump to a chain with a name.
func (ed *editor) taken(t *tableEditor, name string) bool {
	if ed.countJumps(t) != nil {
		return true
	}
	if t.jumps[name] > 0 && ed.settleRefills(t) != nil {
		return true
	}
	return t.jumps[name] > 0
}

// DeleteChain deletes a user chain without rules, to which none jumps.
func (ed *editor) DeleteChain(table, chain string) error {
	c, t, number := ed.find(table, chain)
	if c == nil || ed.settleRefills(t) != nil {
		return errNotInPlace
	}
	ed.rows.DeleteChain(number)
	ed.state.DeleteChain(c)
	return nil
}

// Rename gives a chain another name, also in the rules that jump to it.
func (ed *editor) Rename(table, chain, to string) error {
	c, t, _ := ed.find(table, chain)
	if c == nil || ed.settleRefills(t) != nil || ed.taken(t, to) {
		return errNotInPlace
	}
	ed.state.Rename(c, to)
	t.jumps[to] = t.jumps[chain]
	delete(t.jumps, chain)
	return nil
}
