package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// realmKind is -m realm (net/netfilter/xt_realm.c).
var realmKind = &ruleset.MatchKind{
	Name:     "realm",
	Families: ruleset.OnlyIPv4,
	Doc:      "the realm that routing gave the packet",
	Options:  []ruleset.Option{{Name: "realm", NArgs: 1, Negate: true, Help: "value[/mask] or a name from /etc/iproute2/rt_realms"}},
	New:      func() ruleset.MatchBuilder { return &realm{} },
}

// realm is -m realm.
type realm struct {
	given
	want   namedMask
	negate bool
}

// Set takes one option.
func (m *realm) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	m.want, err = parseNamedMask(env, "rt_realms", option, args[0])
	return err
}

// Done is called after the last option.
func (m *realm) Done(*ruleset.Env) error { return m.need("realm") }

// Match gives the match itself.
func (m *realm) Match() ruleset.Match { return m }

// Word is "realm".
func (m *realm) Word() string { return "realm" }

// Args prints as realm_save() of libipt_realm.c.
func (m *realm) Args() []string {
	return append(append([]string{"-m", "realm"}, bang(m.negate)...), "--realm", m.want.String())
}

// ExactArgs has the number of a realm that is printed by its name.
func (m *realm) ExactArgs() []string {
	if !m.want.named() {
		return nil
	}
	return append(append([]string{"-m", "realm"}, bang(m.negate)...), "--realm", m.want.valueMask.String())
}

// Check refuses PREROUTING, where there is no route yet (realm_mt_reg).
func (m *realm) Check(in *ruleset.Place) error {
	return onlyAt(in, packet.Input, packet.Forward, packet.Output, packet.Postrouting)
}

// Eval is realm_mt().
func (m *realm) Eval(f *packet.Facts) pred.Answer {
	return answer(f.Realm&m.want.mask == m.want.value, m.negate)
}

// Lower gives the same in predicates.
func (m *realm) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Masked(pred.FieldRealm, m.want.mask, m.want.value), m.negate)
}
