package apply

import (
	"bytes"
	"slices"

	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// kube-proxy flushes chains and gives them their rules again, of which most are those that were there. Such
// rules keep their rows, and get the counters that the text says. What the flush is to take away is taken when a rule
// comes that stands further down, and at the end of the table's changes.

// refill is a chain that was flushed and may get its rules again.
type refill struct {
	next   int              // so many rules it has; those behind are to go, unless they come again
	passed int              // how many of those that were there have come or gone
	at     map[string][]int // where they stood, by their words; nil: all have come in their order
	kept   []keptRule
}

// keptRule is a rule that came again.
type keptRule struct {
	at       int
	counters ruleset.Counters
}

// wordsOf are those of a stored rule.
func wordsOf(text, exact []byte) string { return string(text) + "\x00" + string(exact) }

// again keeps a rule of a refilled chain that is among those that were there; false: it is not.
func (ed *editor) again(t *tableEditor, c *state.Chain, r *ruleset.Rule, spec, exact []byte) (bool, error) {
	f := t.refills[c]
	if f.next == c.Len() || !t.unmoved(r) {
		return false, nil
	}
	if have := c.Rule(f.next); !bytes.Equal(have.Text, spec) || !bytes.Equal(have.Exact, exact) {
		at, is := f.find(c, wordsOf(spec, exact))
		if !is {
			return false, nil
		}
		if err := ed.dropOld(t, c, at-f.passed); err != nil {
			return false, err
		}
	}
	f.kept = append(f.kept, keptRule{f.next, r.Counters})
	t.came[c.Rule(f.next).Slot] = true
	f.next++
	f.passed++
	return true, nil
}

// find gives where a rule stood, of those that have neither come nor gone.
func (f *refill) find(c *state.Chain, words string) (int, bool) {
	if f.at == nil {
		f.at = map[string][]int{}
		for i := f.next; i < c.Len(); i++ {
			r := c.Rule(i)
			key := wordsOf(r.Text, r.Exact)
			f.at[key] = append(f.at[key], f.passed+i-f.next)
		}
	}
	for _, at := range f.at[words] {
		if at >= f.passed {
			return at, true
		}
	}
	return 0, false
}

// unmoved says whether a rule does as before when it is taken away and put back: it asks nothing that remembers,
// but for what begins anew with every change of its table (restart), and nothing that is looked for when it is made.
func (t *tableEditor) unmoved(r *ruleset.Rule) bool {
	place := &ruleset.Place{Family: t.in.Family, Bases: t.in.Bases, Rule: r}
	return !slices.ContainsFunc(r.Matches, func(m ruleset.Match) bool {
		return ruleset.AskedKernelSet(m) != "" || pred.Any(m.Lower(place), func(part pred.Pred) bool {
			switch part.(type) {
			case pred.Limit, pred.Nth, pred.Random:
				return false
			}
			return !pred.Stateless(part) || pred.HasArguments(part)
		})
	})
}

// dropOld takes the first n rules that are to go away.
func (ed *editor) dropOld(t *tableEditor, c *state.Chain, n int) error {
	f := t.refills[c]
	for i := range n {
		r := c.Rule(f.next + i)
		if err := ed.take(t, c, &r); err != nil {
			return err
		}
	}
	if n > 0 && f.next == 0 && n == c.Len() {
		ed.state.Flush(c)
		n = 0
	}
	for range n {
		ed.state.Delete(c, f.next)
	}
	f.passed += n
	return nil
}

// settleRefills ends the refilling of a table's chains.
func (ed *editor) settleRefills(t *tableEditor) error {
	for _, c := range t.state.Chains() {
		f := t.refills[c]
		if f == nil {
			continue
		}
		err := ed.dropOld(t, c, c.Len()-f.next)
		delete(t.refills, c)
		if err == nil {
			err = ed.setKept(c, f.kept)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setKept gives rules that came again the counters that they came with.
func (ed *editor) setKept(c *state.Chain, kept []keptRule) error {
	counted, err := ed.counted(len(kept))
	if err != nil {
		return err
	}
	for len(kept) > 0 {
		n := 1
		for n < len(kept) && kept[n].at == kept[0].at+n {
			n++
		}
		counters := make([]ruleset.Counters, n)
		for i, k := range kept[:n] {
			if counters[i], err = ed.beginning(c.Rule(k.at).Slot, k.counters, counted); err != nil {
				return err
			}
		}
		ed.state.SetCounters(c, kept[0].at, counters...)
		kept = kept[n:]
	}
	return nil
}

// Len is how many rules a chain has.
func (ed *editor) Len(table, chain string) int {
	c := ed.chain(table, chain)
	if c == nil {
		return 0
	}
	if t := ed.tables[table]; t != nil && t.refills[c] != nil {
		return t.refills[c].next
	}
	return c.Len()
}

// Flush deletes all rules of a chain.
func (ed *editor) Flush(table, chain string) error {
	c, t, _ := ed.find(table, chain)
	if c == nil {
		return errNotInPlace
	}
	if t.refills[c] != nil {
		if err := ed.settleRefills(t); err != nil {
			return err
		}
	}
	if c.Len() > 0 {
		t.refills[c] = &refill{}
	}
	return nil
}

// Insert puts a rule in front of rule i.
func (ed *editor) Insert(table, chain string, i int, r *ruleset.Rule) error {
	c, t, number := ed.find(table, chain)
	if c == nil {
		return errNotInPlace
	}
	f := t.refills[c]
	if f != nil && i != f.next {
		if err := ed.settleRefills(t); err != nil {
			return err
		}
		f = nil
	}
	spec := iptables.AppendSpec(nil, r)
	exact := ed.exact(table, r, spec)
	if f != nil {
		if kept, err := ed.again(t, c, r, spec, exact); kept || err != nil {
			return err
		}
		f.next++
	}
	if ed.check.Same(table, r, spec, exact) != nil {
		return errNotInPlace
	}
	to := state.Rule{Text: spec, Exact: exact, Counters: r.Counters, Origin: state.NoOrigin}
	if err := ed.place(t, c, number, i, r, &to); err != nil {
		return err
	}
	ed.state.Insert(c, i, to)
	t.count(&to, 1)
	return nil
}
