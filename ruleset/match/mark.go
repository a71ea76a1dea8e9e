package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// markKind is -m mark, revision 1 (net/netfilter/xt_mark.c).
var markKind = &ruleset.MatchKind{
	Name:     "mark",
	Families: ruleset.Both,
	Doc:      "the mark of the packet",
	Options:  []ruleset.Option{{Name: "mark", NArgs: 1, Negate: true, Help: "value[/mask]: the mark, under the mask, is the value"}},
	New:      func() ruleset.MatchBuilder { return &mark{} },
}

// mark is -m mark.
type mark struct {
	given
	want   valueMask
	negate bool
}

// Set takes one option.
func (m *mark) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	m.want, err = parseValueMask(option, args[0])
	return err
}

// Done is called after the last option.
func (m *mark) Done(*ruleset.Env) error { return m.need("mark") }

// Match gives the match itself.
func (m *mark) Match() ruleset.Match { return m }

// Word is "mark".
func (m *mark) Word() string { return "mark" }

// Args prints as mark_mt_save() of libxt_mark.c.
func (m *mark) Args() []string { return m.args("mark") }

func (m *mark) args(word string) []string {
	return append(append([]string{"-m", word}, bang(m.negate)...), "--mark", m.want.String())
}

// Check refuses nothing.
func (m *mark) Check(*ruleset.Place) error { return nil }

// agrees is the comparison of mark_mt(): bits of the value outside of the mask
// never agree.
func (m *mark) agrees(v uint32) bool { return (v&m.want.mask == m.want.value) != m.negate }

// Eval is mark_mt().
func (m *mark) Eval(f *packet.Facts) pred.Answer { return pred.Bool(m.agrees(f.Mark)) }

// Lower gives the same in predicates.
func (m *mark) Lower(*ruleset.Place) pred.Pred { return m.lower(pred.FieldMark) }

func (m *mark) lower(of pred.Field) pred.Pred {
	return pred.Negated(pred.Masked(of, m.want.mask, m.want.value), m.negate)
}
