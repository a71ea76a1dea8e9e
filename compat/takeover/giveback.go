package takeover

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
)

// variants of tables that are given back, in the order in which they are loaded.
var variants = []string{tool.Legacy, tool.NFT}

// gift is what one tool gets.
type gift struct {
	variant string
	tables  []*ruleset.Table
	text    string
}

// Give gives what we enforce back to the tools that it came from, and what came from none
// to the one that the host's iptables stands for; then nothing of ours is left.
func (m *Mover) Give() error {
	was, err := recall(m.e.Dir())
	if err != nil {
		return err
	}
	ours, err := m.e.Current()
	if err != nil && (was == nil || was.Phase != given) {
		return err
	}
	if ours == nil { // also where a killed Give has left only parts of it
		if was == nil {
			fmt.Fprintf(m.report, "%s: nothing of ours is enforced\n", m.e.Family())
			return nil
		}
		return m.withdraw()
	}
	gifts, err := m.gifts(was, ours)
	if err != nil {
		return err
	}
	if err := m.give(was, func() error { return m.load(gifts) }); err != nil {
		return err
	}
	for _, g := range gifts {
		for _, t := range g.tables {
			h := theirs.Held{Variant: g.variant, Family: m.e.Family(), Table: t.Name}
			fmt.Fprintf(m.report, "%s: table %s: given back\n", h.Tool(), t.Name)
		}
	}
	return nil
}

// give lets the tools load the rules, then removes ours.
func (m *Mover) give(was *memory, load func() error) error {
	if err := was.with(giving, nil).write(m.e.Dir()); err != nil {
		return err
	}
	m.e.Step("giving")
	if err := load(); err != nil {
		return fmt.Errorf("%w; what bpftables enforces goes on", err)
	}
	if err := was.with(given, nil).write(m.e.Dir()); err != nil {
		return err
	}
	m.e.Step("given")
	if err := m.withdraw(); err != nil {
		return fmt.Errorf("netfilter enforces the rules, but not all of ours is removed: %w; run give-back again", err)
	}
	return nil
}

// withdraw removes all that is ours, what was taken over last.
func (m *Mover) withdraw() error {
	if err := m.e.Withdraw(); err != nil {
		return err
	}
	return forget(m.e.Dir())
}

// gifts sorts our tables by the tool that gets them, and makes sure that it takes them.
func (m *Mover) gifts(was *memory, ours *ruleset.Ruleset) ([]*gift, error) {
	m.look()
	by := map[string]*gift{}
	var errs []error
	for _, t := range ours.Tables {
		if !apply.Holds(t) {
			continue
		}
		variant, err := m.goal(was, t.Name)
		if err != nil {
			return nil, err
		}
		g := by[variant]
		if g == nil {
			g = &gift{variant: variant}
			by[variant] = g
		}
		g.tables = append(g.tables, t)
		errs = append(errs, m.offer(g, t))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var out []*gift
	for _, v := range variants {
		g := by[v]
		if g == nil {
			continue
		}
		t, err := m.n.Tool(v)
		if err != nil {
			return nil, err
		}
		if g.text != "" {
			if err := t.Try(g.text); err != nil {
				return nil, fmt.Errorf("%s would not take the rules, and nothing is changed: %w", t.Name(), err)
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// goal is the variant that gets a table.
func (m *Mover) goal(was *memory, table string) (string, error) {
	if from := was.table(table); from != nil {
		return from.Variant, nil
	}
	host, err := m.n.Host()
	if err != nil {
		return "", err
	}
	return host.Variant(), nil
}

// offer adds a table to what a tool is to load, unless it has it since an interrupted Give
// or Take.
func (m *Mover) offer(g *gift, t *ruleset.Table) error {
	held, err := m.n.Holding(t.Name)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		text, err := write(t)
		g.text += text
		return err
	}
	for _, h := range held {
		if h.Variant == g.variant && len(held) == 1 {
			if has, err := m.has(h, t); err != nil || has {
				return err
			}
		}
	}
	return fmt.Errorf("table %s: %s already holds other rules there; remove them first", t.Name, held[0].Tool())
}

// has says whether a tool holds the very rules of a table.
func (m *Mover) has(h *theirs.Held, t *ruleset.Table) (bool, error) {
	saved, err := m.n.Text(h)
	if err != nil {
		return false, err
	}
	now, err := read(m.e.Family(), m.c.Resolver(), h.Tool()+"-save", h.Table, saved)
	if err != nil || !alike(now, t) {
		return false, err
	}
	text, err := write(t)
	if err != nil {
		return false, err
	}
	by, err := m.n.Tool(h.Variant)
	if err != nil {
		return false, err
	}
	return prove(by, h.Table, text) == nil, nil
}

// load lets the tools load their rules, and looks whether they hold them.
func (m *Mover) load(gifts []*gift) error {
	for _, g := range gifts {
		t, err := m.n.Tool(g.variant)
		if err != nil {
			return err
		}
		if g.text != "" {
			if err := t.Restore(g.text); err != nil {
				return err
			}
		}
		m.e.Step("loaded-" + g.variant)
	}
	m.look()
	for _, g := range gifts {
		for _, t := range g.tables {
			if err := m.check(g.variant, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// check makes sure that a tool holds a table before ours is removed.
func (m *Mover) check(variant string, t *ruleset.Table) error {
	held, err := m.n.Holding(t.Name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(held, func(h *theirs.Held) bool { return h.Variant == variant })
	if i < 0 {
		return fmt.Errorf("table %s: netfilter holds nothing of what was loaded", t.Name)
	}
	has, err := m.has(held[i], t)
	if err == nil && !has {
		err = fmt.Errorf("table %s: %s holds other rules than those that were loaded; another program changes them", t.Name, held[i].Tool())
	}
	return err
}
