package target

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var auditKind = &ruleset.TargetKind{
	Name:     "AUDIT",
	Families: ruleset.Both,
	Doc:      "write an audit record about the packet",
	Options:  []ruleset.Option{{Name: "type", NArgs: 1, Help: "what the record says became of it: accept, drop or reject"}},
	New:      func() ruleset.TargetBuilder { return &Audit{} },
}

// Audit is -j AUDIT.
type Audit struct {
	used
	Type string // accept, drop or reject
}

// Set takes --type.
func (a *Audit) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := a.once(option, negate); err != nil {
		return err
	}
	switch t := strings.ToLower(args[0]); t {
	case "accept", "drop", "reject":
		a.Type = t
		return nil
	}
	return ruleset.InWords(fmt.Errorf("bad action type %q; accept, drop or reject", args[0]), "Bad action type value \"%s\"", args[0])
}

// Done asks for --type.
func (a *Audit) Done(*ruleset.Env) error { return a.need("type") }

// Target gives the target that was built.
func (a *Audit) Target() ruleset.Target { return a }

// Word is the name after -j.
func (a *Audit) Word() string { return "AUDIT" }

// Args is the text after -j.
func (a *Audit) Args() []string { return []string{"AUDIT", "--type", a.Type} }

// List is the text of iptables -L.
func (a *Audit) List(ruleset.Names) string { return "AUDIT " + a.Type }

// Check accepts every place (audit_tg_check(), net/netfilter/xt_AUDIT.c).
func (a *Audit) Check(*ruleset.Place) error { return nil }

// Lower gives the record.
func (a *Audit) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.Audit{Type: auditTypes[a.Type]})
}

var auditTypes = map[string]pred.AuditType{"accept": pred.AuditAccept, "drop": pred.AuditDrop, "reject": pred.AuditReject}

func auditOf(e pred.Audit) *Audit { return &Audit{Type: e.Type.String()} }
