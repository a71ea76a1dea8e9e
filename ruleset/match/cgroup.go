package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// cgroupKind is -m cgroup, revision 2 (net/netfilter/xt_cgroup.c).
var cgroupKind = &ruleset.MatchKind{
	Name:     "cgroup",
	Families: ruleset.Both,
	Doc:      "the control group of the socket",
	Options: []ruleset.Option{
		{Name: "path", NArgs: 1, Negate: true, Help: "path below the root of cgroup2; groups under it count too"},
		{Name: "cgroup", NArgs: 1, Negate: true, Help: "net_cls class id"},
	},
	New: func() ruleset.MatchBuilder { return &cgroup{} },
}

// cgroup is -m cgroup.
type cgroup struct {
	given
	path                  string
	class                 uint32
	negatePath, negateCls bool
}

// Set takes one option.
func (m *cgroup) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	if option == "path" {
		m.path, m.negatePath = cut(args[0], 511), negate
		return nil
	}
	m.negateCls = negate
	m.class, err = number32(option, args[0], 0)
	return err
}

// Done is called after the last option; what is missing only the kernel sees.
func (m *cgroup) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *cgroup) Match() ruleset.Match { return m }

// Word is "cgroup".
func (m *cgroup) Word() string { return "cgroup" }

// Args has the path without quotes.
func (m *cgroup) Args() []string { return m.args(m.path) }

// Text prints as cgroup_save_v2() of libxt_cgroup.c.
func (m *cgroup) Text() string { return strings.Join(m.args(ruleset.Quoted(m.path)), " ") }

func (m *cgroup) args(path string) []string {
	args := []string{"-m", "cgroup"}
	if m.given["path"] {
		args = append(append(args, bang(m.negatePath)...), "--path", path)
	}
	if m.given["cgroup"] {
		args = append(append(args, bang(m.negateCls)...), "--cgroup", fmt.Sprint(m.class))
	}
	return args
}

// Check is cgroup_mt_check_v2() and the hooks of cgroup_mt_reg; that the path is
// there is the kernel's to see when the rule is loaded.
func (m *cgroup) Check(in *ruleset.Place) error {
	if len(m.given) != 1 {
		return fmt.Errorf("exactly one of --path and --cgroup is needed")
	}
	return onlyAt(in, packet.Output, packet.Postrouting, packet.Input)
}

// Eval is cgroup_mt_v2(); a packet without a socket is in no group and in no other.
func (m *cgroup) Eval(f *packet.Facts) pred.Answer {
	if f.Sock == nil {
		return pred.No
	}
	if m.given["path"] {
		return answer(pred.Eval(m.group(), f) == pred.Yes, m.negatePath)
	}
	return answer(f.Sock.ClassID == m.class, m.negateCls)
}

// Lower gives the same in predicates.
func (m *cgroup) Lower(*ruleset.Place) pred.Pred {
	if m.given["path"] {
		return pred.And{pred.Eq(pred.FieldClassed, 1), pred.Negated(m.group(), m.negatePath)}
	}
	return pred.And{pred.Eq(pred.FieldClassed, 1), pred.Negated(pred.Eq(pred.FieldClassID, m.class), m.negateCls)}
}

func (m *cgroup) group() pred.Pred { return pred.ControlGroup{Path: m.path} }

// ControlGroup is the group that --path names.
func (m *cgroup) ControlGroup() (string, bool) { return m.path, m.given["path"] }
