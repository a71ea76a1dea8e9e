package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// cpuKind is -m cpu (net/netfilter/xt_cpu.c).
var cpuKind = &ruleset.MatchKind{
	Name:     "cpu",
	Families: ruleset.Both,
	Doc:      "the processor that handles the packet",
	Options:  []ruleset.Option{{Name: "cpu", NArgs: 1, Negate: true, Help: "its number, from 0"}},
	New:      func() ruleset.MatchBuilder { return &cpu{} },
}

// cpu is -m cpu.
type cpu struct {
	given
	want   uint32
	negate bool
}

// Set takes one option.
func (m *cpu) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	m.want, err = number32(option, args[0], 0)
	return err
}

// Done is called after the last option.
func (m *cpu) Done(*ruleset.Env) error { return m.need("cpu") }

// Match gives the match itself.
func (m *cpu) Match() ruleset.Match { return m }

// Word is "cpu".
func (m *cpu) Word() string { return "cpu" }

// Args prints as cpu_save() of libxt_cpu.c.
func (m *cpu) Args() []string {
	return append(append([]string{"-m", "cpu"}, bang(m.negate)...), "--cpu", fmt.Sprint(m.want))
}

// Check refuses nothing.
func (m *cpu) Check(*ruleset.Place) error { return nil }

// Eval is cpu_mt().
func (m *cpu) Eval(f *packet.Facts) pred.Answer { return answer(f.CPU == m.want, m.negate) }

// Lower gives the same in predicates.
func (m *cpu) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Eq(pred.FieldCPU, m.want), m.negate)
}
