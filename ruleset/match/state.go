package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// stateKind is -m state: the kernel's conntrack match under its old name
// (XT_CONNTRACK_STATE_ALIAS, net/netfilter/xt_conntrack.c).
var stateKind = &ruleset.MatchKind{
	Name:     "state",
	Families: ruleset.Both,
	Doc:      "the state of the packet's connection; conntrack --ctstate is the newer name",
	Options: []ruleset.Option{
		{Name: "state", NArgs: 1, Negate: true, Help: "INVALID, NEW, ESTABLISHED, RELATED or UNTRACKED, separated by commas"},
	},
	New: func() ruleset.MatchBuilder { return &state{} },
}

// state is -m state.
type state struct {
	given
	mask   uint32
	negate bool
}

// Set takes one option.
func (m *state) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	m.mask, err = parseBits(option, args[0], ctStates[:5])
	return err
}

// Done is called after the last option.
func (m *state) Done(*ruleset.Env) error { return m.need("state") }

// Match gives the match itself.
func (m *state) Match() ruleset.Match { return m }

// Word is "state".
func (m *state) Word() string { return "state" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// conntrack_mt_check() calls nf_ct_netns_get().
func (m *state) NeedsConntrack() bool { return true }

// Args prints as conntrack_dump() of libxt_conntrack.c.
func (m *state) Args() []string {
	return append(append([]string{"-m", "state"}, bang(m.negate)...), "--state", printBits(m.mask, ctStates))
}

// Check refuses nothing.
func (m *state) Check(*ruleset.Place) error { return nil }

// Eval is conntrack_mt() with a state only.
func (m *state) Eval(f *packet.Facts) pred.Answer { return answer(f.CtState&m.mask != 0, m.negate) }

// Lower gives the same in predicates.
func (m *state) Lower(*ruleset.Place) pred.Pred { return lowerState(m.mask, m.negate) }
