package target

import (
	"cmp"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var connsecmarkKind = &ruleset.TargetKind{
	Name:     "CONNSECMARK",
	Families: ruleset.Both,
	Doc:      "copy the security mark between packet and connection",
	Options: []ruleset.Option{
		{Name: "save", Help: "from the packet to a connection that has none"},
		{Name: "restore", Help: "from the connection to a packet that has none"},
	},
	New: func() ruleset.TargetBuilder { return &Connsecmark{} },
}

// Connsecmark is -j CONNSECMARK.
type Connsecmark struct {
	used
	Op string // save or restore
}

// Set takes one option.
func (c *Connsecmark) Set(_ *ruleset.Env, option string, negate bool, _ []string) error {
	c.Op = option
	return c.once(option, negate)
}

// Done asks for one operation.
func (c *Connsecmark) Done(*ruleset.Env) error {
	return cmp.Or(c.exclusive("save", "restore"), ruleset.InWords(c.need("save", "restore"), "CONNSECMARK target: parameter required"))
}

// Target gives the target that was built.
func (c *Connsecmark) Target() ruleset.Target { return c }

// Word is the name after -j.
func (c *Connsecmark) Word() string { return "CONNSECMARK" }

// Args is the text after -j.
func (c *Connsecmark) Args() []string { return []string{"CONNSECMARK", "--" + c.Op} }

// List is the text of iptables -L.
func (c *Connsecmark) List(ruleset.Names) string { return "CONNSECMARK " + c.Op }

// Check refuses other tables (connsecmark_tg_check(),
// net/netfilter/xt_CONNSECMARK.c).
func (c *Connsecmark) Check(in *ruleset.Place) error {
	return in.OnlyAt(ruleset.PriorityMangle, ruleset.PrioritySecurity)
}

// NeedsConntrack says yes (connsecmark_tg_check(), net/netfilter/xt_CONNSECMARK.c).
func (c *Connsecmark) NeedsConntrack() bool { return true }

// Lower gives the change; no match asks for skb->secmark.
func (c *Connsecmark) Lower(*ruleset.Place) pred.Action {
	if c.Op == "save" {
		return pred.Doing(pred.SaveSecMark{})
	}
	return pred.Doing(pred.RestoreSecMark{})
}
