package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var secmarkKind = &ruleset.TargetKind{
	Name:     "SECMARK",
	Families: ruleset.Both,
	Doc:      "set the security mark of the packet",
	Options:  []ruleset.Option{{Name: "selctx", NArgs: 1, Help: "SELinux security context"}},
	New:      func() ruleset.TargetBuilder { return &Secmark{} },
}

// secmarkSize is SECMARK_SECCTX_MAX of include/uapi/linux/netfilter/xt_SECMARK.h.
const secmarkSize = 256

// Secmark is -j SECMARK.
type Secmark struct {
	used
	Context string
}

// Set takes --selctx.
func (s *Secmark) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	s.Context = cut(args[0], secmarkSize)
	return s.once(option, negate)
}

// Done asks for --selctx.
func (s *Secmark) Done(*ruleset.Env) error { return s.need("selctx") }

// Target gives the target that was built.
func (s *Secmark) Target() ruleset.Target { return s }

// Word is the name after -j.
func (s *Secmark) Word() string { return "SECMARK" }

// Args is the text after -j.
func (s *Secmark) Args() []string { return []string{"SECMARK", "--selctx", s.Context} }

// List is the text of iptables -L.
func (s *Secmark) List(ruleset.Names) string { return "SECMARK selctx " + s.Context }

// Check refuses other tables (secmark_tg_check(), net/netfilter/xt_SECMARK.c).
// That the context exists is known only when the rule is loaded.
func (s *Secmark) Check(in *ruleset.Place) error {
	return in.OnlyAt(ruleset.PriorityMangle, ruleset.PrioritySecurity)
}

// Lower gives the change; no match asks for skb->secmark.
func (s *Secmark) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SecMark{Context: s.Context})
}
