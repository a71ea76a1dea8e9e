package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var (
	acceptKind = verdictKind("ACCEPT", "let the packet through; it leaves the table")
	dropKind   = verdictKind("DROP", "drop the packet without an answer")
	queueKind  = verdictKind("QUEUE", "pass the packet to the program that listens on queue 0")
	returnKind = verdictKind("RETURN", "go on behind the rule that jumped to this chain; in a built-in chain: its policy")
)

func verdictKind(name, doc string) *ruleset.TargetKind {
	return &ruleset.TargetKind{
		Name:     name,
		Families: ruleset.Both,
		Doc:      doc,
		New:      func() ruleset.TargetBuilder { return &Verdict{Name: name} },
	}
}

// Verdict is one of ACCEPT, DROP, QUEUE and RETURN.
type Verdict struct {
	bare
	Name string
}

// Done refuses DROP in the nat table, as do_parse() of iptables does: only the
// first packet of a connection passes there.
func (v *Verdict) Done(env *ruleset.Env) error {
	if v.Name != "DROP" {
		return nil
	}
	for _, b := range env.Bases {
		if b.Type == ruleset.NAT {
			return ruleset.ErrTranslating
		}
	}
	return nil
}

// Target gives the target that was built.
func (v *Verdict) Target() ruleset.Target { return v }

// Word is the name after -j.
func (v *Verdict) Word() string { return v.Name }

// Args is the text after -j.
func (v *Verdict) Args() []string { return []string{v.Name} }

// AppendText appends what iptables-save prints.
func (v *Verdict) AppendText(b []byte) []byte { return append(b, v.Name...) }

// EndsChain says that every verdict does.
func (v *Verdict) EndsChain() bool { return true }

// Check accepts every place: the kernel takes a verdict anywhere.
func (v *Verdict) Check(*ruleset.Place) error { return nil }

// Lower gives the verdict. QUEUE is NFQUEUE on queue 0 (NF_QUEUE without a number,
// ipt_do_table() in net/ipv4/netfilter/ip_tables.c).
func (v *Verdict) Lower(*ruleset.Place) pred.Action {
	switch v.Name {
	case "ACCEPT":
		return pred.Action{Op: pred.Accept}
	case "DROP":
		return pred.Action{Op: pred.Drop}
	case "RETURN":
		return pred.Action{Op: pred.Return}
	}
	return pred.Doing(pred.Queue{})
}
