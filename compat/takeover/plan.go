package takeover

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
)

// plan reads what there is, and says why it cannot be taken.
func (m *Mover) plan() (*job, error) {
	was, err := recall(m.e.Dir())
	if err != nil {
		return nil, err
	}
	if was != nil && (was.Phase == giving || was.Phase == given) {
		return nil, errors.New("a give-back was interrupted; complete it with 'bpftables give-back', then take over again")
	}
	m.look()
	held, err := m.n.All()
	if err != nil {
		return nil, err
	}
	j := &job{memory: was}
	var errs []error
	for i, h := range held {
		if i > 0 && held[i-1].Table == h.Table {
			errs = append(errs, fmt.Errorf("table %s: %s and %s both hold rules, and packets must pass both, which no single table says; move those of one into the other, or remove them", h.Table, held[i-1].Tool(), h.Tool()))
			continue
		}
		s, err := m.source(h)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		j.sources = append(j.sources, s)
	}
	if err := errors.Join(append(errs, m.lateSecurity(j.sources))...); err != nil {
		return nil, err
	}
	return j, m.join(j)
}

// source reads a table.
func (m *Mover) source(h *theirs.Held) (*source, error) {
	saved, err := m.n.Text(h)
	if err != nil {
		return nil, err
	}
	t, err := m.n.Tool(h.Variant)
	if err != nil {
		return nil, err
	}
	if err := prove(t, h.Table, saved); err != nil {
		return nil, err
	}
	rules, err := read(m.e.Family(), m.c.Resolver(), h.Tool()+"-save", h.Table, saved)
	if err != nil {
		return nil, err
	}
	return &source{Held: h, saved: saved, rules: rules}, nil
}

// lateSecurity refuses a table security that stands behind source NAT of INPUT:
// iptables-nft hangs it at 150, nf_nat works at 100 (NF_IP_PRI_NAT_SRC), we ask at 49.
func (m *Mover) lateSecurity(sources []*source) error {
	for _, s := range sources {
		if s.Table != "security" || s.Variant != tool.NFT {
			continue
		}
		input := s.rules.Chain("INPUT")
		if len(input.Rules) == 0 && input.Base.Policy == ruleset.Accept {
			continue
		}
		if nat, err := m.n.Translates(); err != nil || nat {
			return errors.Join(err, fmt.Errorf("%s: table security: its INPUT stands behind NAT here, and would stand before it; move the rules to %s", s.Tool(), strings.Replace(s.Tool(), tool.NFT, tool.Legacy, 1)))
		}
	}
	return nil
}

// join makes the text that is to be enforced: the tables that were read, where we hold
// nothing, the same, or in an interrupted Take what they were then.
func (m *Mover) join(j *job) error {
	ours, err := m.e.Current()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range j.sources {
		if ours != nil && apply.Holds(ours.Table(s.Table)) {
			mine := ours.Table(s.Table)
			if same(mine, s.rules) {
				count(s.rules, mine)
			} else if !m.interrupted(j.memory, mine) {
				errs = append(errs, fmt.Errorf("table %s: bpftables holds other rules than %s, and packets must pass both; remove one of the two ('bpftables flush -t %s' and -P, or %s)", s.Table, s.Tool(), s.Table, s.Tool()))
				continue
			}
		}
		text, err := write(s.rules)
		if err != nil {
			errs = append(errs, err)
		}
		j.text += text
	}
	return errors.Join(errs...)
}

// interrupted says whether our table is what an interrupted Take made of it.
func (m *Mover) interrupted(was *memory, mine *ruleset.Table) bool {
	before := was.table(mine.Name)
	if before == nil || was.Phase != taking {
		return false
	}
	t, err := read(m.e.Family(), m.c.Resolver(), "memory", mine.Name, before.Text)
	return err == nil && same(mine, t)
}
