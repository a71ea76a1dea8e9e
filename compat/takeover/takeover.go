// Package takeover moves rules between the tables of iptables and bpftables, so that at
// every moment at least one of the two enforces all of them.
//
// In: what iptables-legacy and iptables-nft hold in this network namespace (Take), or what
// we enforce (Give). Out: the same rules with their counters at the other one. Refused, with
// nothing changed: tables that both tools hold, or that we hold with other rules, as a packet
// must pass both and no single ruleset says the same; rules that the tool cannot print; and
// what the other one does not take. The steps, each of which may be the last one of a
// killed process, with who enforces the rules after it:
//
//	Take  remember   what is taken, from which tool          netfilter
//	      enforce    the rules as a generation of ours       both
//	      remove     each table from netfilter               we, and those not yet removed
//	      remember   that it is done                         we
//
//	Give  remember   that it is given                        we
//	      load       the rules, tool by tool                 we, and those already loaded
//	      withdraw   everything of ours                      netfilter
//
// The next Take or Give completes what a killed one has left. While both enforce, a packet is
// judged by both: it gets the same verdict, and is counted, logged or changed twice.
package takeover

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
)

// Mover moves the rules of one family. Its user holds the xtables lock.
type Mover struct {
	e      *apply.Engine
	c      *caller.Caller
	n      *theirs.Netfilter
	report io.Writer
}

// New gives the mover for an engine and a caller. report gets a line for each table that
// was moved.
func New(e *apply.Engine, c *caller.Caller, report io.Writer) *Mover {
	m := &Mover{e: e, c: c, report: report}
	m.look()
	return m
}

// look forgets what was seen of netfilter.
func (m *Mover) look() {
	m.n = theirs.Open(m.e.Family(), m.e.Pins(), m.c.Env)
}

// source is a table of netfilter's that is taken.
type source struct {
	*theirs.Held
	saved string // without what is ours
	rules *ruleset.Table
}

// job is what one Take has to do.
type job struct {
	memory  *memory // of before
	sources []*source
	text    string // what is to be enforced
}

// tries is how often Take begins anew when others change rules meanwhile.
const tries = 5

// Check says why Take would be refused, and reports what it would take.
func (m *Mover) Check() error {
	j, err := m.steadily()
	if err != nil {
		return err
	}
	if len(j.sources) == 0 {
		return m.nothing()
	}
	if err := m.e.Restore(&apply.Request{Text: strings.NewReader(j.text), File: "takeover", Counters: true, Test: true}); err != nil {
		return err
	}
	return m.tell(j, "can be taken over")
}

// steadily is plan, once more where it failed while others changed nf_tables: they take no lock.
func (m *Mover) steadily() (j *job, err error) {
	for range 10 * tries { // each of milliseconds
		before, noGeneration := steady.Generation()
		if j, err = m.plan(); err == nil || noGeneration != nil {
			return j, err
		}
		if after, bad := steady.Generation(); bad != nil || after == before {
			return nil, err
		}
	}
	return nil, err
}

// Take takes over what netfilter holds.
func (m *Mover) Take() error {
	for range tries {
		j, err := m.steadily()
		if err != nil {
			return err
		}
		if len(j.sources) == 0 {
			return m.done(j.memory)
		}
		if err := m.enforce(j); err != nil {
			return err
		}
		seen, err := generation(j)
		if err != nil {
			return err
		}
		if changed, err := m.changed(j); err != nil || changed {
			if err != nil {
				return err
			}
			continue // both enforce now; what is newer is taken the next time
		}
		err = m.remove(j, seen)
		if errors.Is(err, theirs.ErrChanged) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the rules are enforced by bpftables, and some still by netfilter, too: %w; run takeover again", err)
		}
		if err := m.finish(); err != nil {
			return err
		}
		return m.tell(j, "taken over")
	}
	return errors.New("netfilter's rules change all the time; bpftables enforces those of a moment ago beside them; stop the program that changes them, and run takeover again")
}

// done ends a Take that has found nothing.
func (m *Mover) done(was *memory) error {
	if was != nil && was.Phase == taking {
		return m.finish()
	}
	return m.nothing()
}

func (m *Mover) nothing() error {
	fmt.Fprintf(m.report, "%s: netfilter holds no rules of iptables beside bpftables\n", m.e.Family())
	return nil
}

func (m *Mover) finish() error {
	was, err := recall(m.e.Dir())
	if err != nil || was == nil {
		return err
	}
	return was.with(kept, nil).write(m.e.Dir())
}

func (m *Mover) tell(j *job, what string) error {
	for _, s := range j.sources {
		fmt.Fprintf(m.report, "%s: %s\n", s, what)
	}
	return nil
}

// enforce remembers what is taken, and makes us enforce it.
func (m *Mover) enforce(j *job) error {
	var tables []taken
	for _, s := range j.sources {
		text, err := write(s.rules)
		if err != nil {
			return err
		}
		tables = append(tables, taken{s.Table, s.Variant, text})
	}
	if err := j.memory.with(taking, tables).write(m.e.Dir()); err != nil {
		return err
	}
	m.e.Step("remembered")
	err := m.e.Restore(&apply.Request{Text: strings.NewReader(j.text), File: "takeover", Counters: true})
	if err != nil {
		return errors.Join(err, m.restoreMemory(j.memory))
	}
	m.e.Step("enforced")
	return nil
}

// restoreMemory puts the memory back that was before a Take that has changed nothing.
func (m *Mover) restoreMemory(was *memory) error {
	if was == nil {
		return forget(m.e.Dir())
	}
	return was.write(m.e.Dir())
}

// changed says whether netfilter holds other rules than those that were read; if not, the
// sources say what stands there now.
func (m *Mover) changed(j *job) (bool, error) {
	m.look()
	for _, s := range j.sources {
		held, err := m.n.Holding(s.Table)
		if err != nil {
			return false, err
		}
		if len(held) != 1 || held[0].Variant != s.Variant {
			return true, nil
		}
		saved, err := m.n.Text(held[0])
		if err != nil {
			return true, nil // it was changed while it was read
		}
		now, err := read(m.e.Family(), m.c.Resolver(), s.Tool()+"-save", s.Table, saved)
		if err != nil {
			return false, err
		}
		if !same(now, s.rules) {
			return true, nil
		}
		s.Held = held[0] // it has rules of ours since they are enforced
	}
	return false, nil
}

// generation is that of nf_tables, where anything is taken from there.
func generation(j *job) (uint32, error) {
	for _, s := range j.sources {
		if s.Variant == tool.NFT {
			return steady.Generation()
		}
	}
	return 0, nil
}

// remove takes the tables out of netfilter: those of nf_tables in one transaction, those
// of ip_tables one after the other, each as a whole. Those of nf_tables must be of the generation
// that was seen.
func (m *Mover) remove(j *job, seen uint32) error {
	var tables []string
	for _, s := range j.sources {
		if s.Variant == tool.NFT && !s.Ours {
			tables = append(tables, s.Table)
			continue
		}
		t, err := m.n.Tool(s.Variant)
		if err != nil {
			return err
		}
		text := flushing(s.rules)
		if s.Ours {
			saved, err := t.Save(s.Table)
			if err != nil {
				return err
			}
			text = shim.RemoveForeign(s.Table, saved, m.e.Pins())
		}
		if err := t.Restore(text); err != nil {
			return err
		}
		m.e.Step("removed-" + s.Table)
	}
	if len(tables) > 0 {
		if err := m.n.Delete(tables, seen); err != nil {
			return err
		}
	}
	m.e.Step("removed")
	return nil
}

// flushing is restore text, for use without flushing, that leaves nothing in a table.
func flushing(t *ruleset.Table) string {
	lines := []string{"*" + t.Name}
	for _, c := range t.Chains {
		if c.BuiltIn() {
			lines = append(lines, ":"+c.Name+" ACCEPT [0:0]")
		}
	}
	return strings.Join(append(lines, "-F", "-X", "COMMIT", ""), "\n")
}
