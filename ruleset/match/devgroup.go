package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// devgroupKind is -m devgroup (net/netfilter/xt_devgroup.c).
var devgroupKind = &ruleset.MatchKind{
	Name:     "devgroup",
	Families: ruleset.Both,
	Doc:      "the device groups of the interfaces",
	Options: []ruleset.Option{
		{Name: "src-group", NArgs: 1, Negate: true, Help: "value[/mask] or a name: group of the incoming interface"},
		{Name: "dst-group", NArgs: 1, Negate: true, Help: "value[/mask] or a name: group of the outgoing interface"},
	},
	New: func() ruleset.MatchBuilder { return &devgroup{} },
}

// devgroup is -m devgroup.
type devgroup struct {
	given
	src, dst deviceGroup
}

// deviceGroup is what is asked of one interface.
type deviceGroup struct {
	namedMask
	negate bool
}

// Set takes one option.
func (m *devgroup) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	side := &m.src
	if option == "dst-group" {
		side = &m.dst
	}
	side.negate = negate
	side.namedMask, err = parseNamedMask(env, "group", option, args[0])
	return err
}

// Done is called after the last option.
func (m *devgroup) Done(*ruleset.Env) error {
	return ruleset.InWords(m.needOneOf("src-group", "dst-group"), "devgroup match: You must specify either '--src-group' or '--dst-group'")
}

// Match gives the match itself.
func (m *devgroup) Match() ruleset.Match { return m }

// Word is "devgroup".
func (m *devgroup) Word() string { return "devgroup" }

// Args prints as devgroup_save() of libxt_devgroup.c.
func (m *devgroup) Args() []string { return m.args(namedMask.String) }

// ExactArgs has the numbers of groups that are printed by name.
func (m *devgroup) ExactArgs() []string {
	if !m.src.named() && !m.dst.named() {
		return nil
	}
	return m.args(func(nm namedMask) string { return nm.valueMask.String() })
}

func (m *devgroup) args(text func(namedMask) string) []string {
	args := []string{"-m", "devgroup"}
	if m.given["src-group"] {
		args = append(append(args, bang(m.src.negate)...), "--src-group", text(m.src.namedMask))
	}
	if m.given["dst-group"] {
		args = append(append(args, bang(m.dst.negate)...), "--dst-group", text(m.dst.namedMask))
	}
	return args
}

// Check is devgroup_mt_checkentry(): an interface is asked only where there is one.
func (m *devgroup) Check(in *ruleset.Place) error {
	if m.given["src-group"] {
		if err := notAt(in, "src-group", packet.Output, packet.Postrouting); err != nil {
			return err
		}
	}
	if m.given["dst-group"] {
		return notAt(in, "dst-group", packet.Prerouting, packet.Input)
	}
	return nil
}

// Eval is devgroup_mt().
func (m *devgroup) Eval(f *packet.Facts) pred.Answer {
	return pred.Bool((!m.given["src-group"] || m.src.agrees(f.In.Group)) && (!m.given["dst-group"] || m.dst.agrees(f.Out.Group)))
}

func (g deviceGroup) agrees(group uint32) bool {
	return ((g.value^group)&g.mask == 0) != g.negate
}

// Lower gives the same in predicates.
func (m *devgroup) Lower(*ruleset.Place) pred.Pred {
	var p pred.And
	if m.given["src-group"] {
		p = append(p, m.src.lower(pred.FieldInGroup))
	}
	if m.given["dst-group"] {
		p = append(p, m.dst.lower(pred.FieldOutGroup))
	}
	return p
}

func (g deviceGroup) lower(of pred.Field) pred.Pred {
	return pred.Negated(pred.Masked(of, g.mask, g.value&g.mask), g.negate)
}
