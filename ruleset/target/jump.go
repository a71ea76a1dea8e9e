package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Jump is a user chain after -j or -g.
type Jump struct {
	Chain string
	Goto  bool // -g, as Rule.Goto of the rule may also say
}

// NewJump gives the target that names a user chain.
func NewJump(chain string) ruleset.Target { return &Jump{Chain: chain} }

// Word is the name of the chain.
func (j *Jump) Word() string { return j.Chain }

// Args is the name of the chain.
func (j *Jump) Args() []string { return []string{j.Chain} }

// AppendText appends what iptables-save prints.
func (j *Jump) AppendText(b []byte) []byte { return append(b, j.Chain...) }

// Check accepts every place: that the chain exists and that no jumps form a ring
// is a matter of the table.
func (j *Jump) Check(*ruleset.Place) error { return nil }

// Lower gives the jump.
func (j *Jump) Lower(in *ruleset.Place) pred.Action {
	if j.Goto || in.Rule != nil && in.Rule.Goto {
		return pred.Action{Op: pred.Goto, Chain: j.Chain}
	}
	return pred.Action{Op: pred.Jump, Chain: j.Chain}
}

// ChainName is the name of the chain, for those who must not know this package.
func (j *Jump) ChainName() string { return j.Chain }
