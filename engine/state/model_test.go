package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// model is the chains of one table, as plain data.
type model struct{ chains []modelChain }

type modelChain struct {
	Name, Policy string
	Counters     ruleset.Counters
	Class        uint32
	Rules        []Rule
}

// add puts a user chain between the others, by name.
func (m *model) add(c modelChain) {
	at := slices.IndexFunc(m.chains, func(o modelChain) bool { return o.Policy == "" && o.Name > c.Name })
	if at < 0 {
		at = len(m.chains)
	}
	m.chains = slices.Insert(m.chains, at, c)
}

func (m *model) clone() *model {
	out := &model{chains: slices.Clone(m.chains)}
	for i := range out.chains {
		out.chains[i].Rules = slices.Clone(out.chains[i].Rules)
	}
	return out
}

// modelOf reads a table of a store.
func modelOf(t *Table) *model {
	m := &model{}
	for _, c := range t.Chains() {
		mc := modelChain{Name: c.Name, Policy: c.Policy, Counters: c.Counters, Class: c.Class}
		for i := range c.Len() {
			r := c.Rule(i)
			r.Text, r.Exact = slices.Clone(r.Text), slices.Clone(r.Exact)
			mc.Rules = append(mc.Rules, r)
		}
		m.chains = append(m.chains, mc)
	}
	return m
}

func (m *model) same(other *model) bool {
	return slices.EqualFunc(m.chains, other.chains, func(a, b modelChain) bool {
		return a.Name == b.Name && a.Policy == b.Policy && a.Counters == b.Counters && a.Class == b.Class &&
			slices.EqualFunc(a.Rules, b.Rules, func(x, y Rule) bool {
				return string(x.Text) == string(y.Text) && string(x.Exact) == string(y.Exact) && x.Slot == y.Slot && x.Row == y.Row && x.Counters == y.Counters && x.Origin == y.Origin
			})
	})
}

func (m *model) String() string {
	var b strings.Builder
	for _, c := range m.chains {
		fmt.Fprintf(&b, "%s %s %v\n", c.Name, c.Policy, c.Counters)
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "  %s (%q) slot %d row %d %v %v\n", r.Text, r.Exact, r.Slot, r.Row, r.Counters, r.Origin)
		}
	}
	return b.String()
}

// editor does the same random things to a table and to its model.
type editor struct {
	random *rand.Rand
	e      *Edit
	t      *Table
	m      *model
	named  int
}

func (d *editor) rule() Rule {
	texts := []string{"", "-j DROP", "-p tcp -j user", fmt.Sprintf("-m mark --mark %d -j ACCEPT", d.random.IntN(9))}
	var exact []byte
	if d.random.IntN(3) == 0 {
		exact = fmt.Appendf(nil, "-i\x00%d", d.random.IntN(3))
	}
	return Rule{Text: []byte(texts[d.random.IntN(len(texts))]), Exact: exact, Slot: d.random.Uint32N(99), Row: d.random.Uint32N(99),
		Counters: ruleset.Counters{Packets: d.random.Uint64(), Bytes: d.random.Uint64()}, Origin: NoOrigin}
}

// step does one thing, if it can be done.
func (d *editor) step() {
	i := d.random.IntN(len(d.m.chains))
	c, mc := d.t.Chains()[i], &d.m.chains[i]
	if len(mc.Rules) > 0 && d.onRule(c, mc, d.random.IntN(len(mc.Rules))) {
		return
	}
	switch d.random.IntN(11) {
	case 0:
		d.e.Flush(c)
		mc.Rules = nil
	case 1:
		d.named++
		name := fmt.Sprintf("chain%d", d.named)
		d.e.NewChain(d.t, name, uint32(d.named))
		d.m.add(modelChain{Name: name, Class: uint32(d.named)})
	case 2:
		if mc.Policy == "" && len(d.m.chains) > 2 {
			d.e.DeleteChain(c)
			d.m.chains = slices.Delete(d.m.chains, i, i+1)
		}
	case 4:
		if mc.Policy == "" {
			d.named++
			name := fmt.Sprintf("chain%d", d.named)
			d.rename(i, name)
		}
	case 3:
		if mc.Policy != "" {
			mc.Policy = []string{"ACCEPT", "DROP"}[d.random.IntN(2)]
			d.e.SetPolicy(c, mc.Policy)
			mc.Counters = ruleset.Counters{Packets: d.random.Uint64()}
			d.e.SetCounters(c, None, mc.Counters)
		}
	default:
		at, r := d.random.IntN(len(mc.Rules)+1), d.rule()
		d.e.Insert(c, at, r)
		mc.Rules = slices.Insert(mc.Rules, at, r)
	}
}

// rename renames a user chain, and the jumps to it.
func (d *editor) rename(i int, name string) {
	was := d.m.chains[i]
	d.e.Rename(d.t.Chains()[i], name)
	for _, c := range d.m.chains {
		for j := range c.Rules {
			if r := &c.Rules[j]; r.jumpsTo(was.Name) {
				r.Text = fmt.Appendf(nil, "%s%s", strings.TrimSuffix(string(r.Text), was.Name), name)
				r.Origin = NoOrigin // they are carried over when there is an edit
			}
		}
	}
	d.m.chains = slices.Delete(d.m.chains, i, i+1)
	was.Name = name
	d.m.add(was)
}

func (d *editor) onRule(c *Chain, mc *modelChain, at int) bool {
	switch d.random.IntN(8) {
	case 0, 1:
		d.e.Delete(c, at)
		mc.Rules = slices.Delete(mc.Rules, at, at+1)
	case 2:
		r := d.rule()
		d.e.Replace(c, at, r)
		mc.Rules[at] = r
	case 3:
		n := d.random.IntN(len(mc.Rules) - at + 1)
		counters := make([]ruleset.Counters, n)
		for i := range counters {
			counters[i].Bytes = d.random.Uint64()
			mc.Rules[at+i].Counters = counters[i]
		}
		d.e.SetCounters(c, at, counters...)
	case 4:
		want := &mc.Rules[at]
		if found := c.Find(want.Text, want.Exact); found < 0 || found > at || string(mc.Rules[found].key()) != string(want.key()) {
			d.e.err = fmt.Errorf("rule %d is found at %d", at, found)
		}
	default:
		return false
	}
	return true
}
