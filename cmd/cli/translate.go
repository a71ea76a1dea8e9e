package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// translateCmd is "bpftables translate".
type translateCmd struct {
	familyFlag
	classifierFlag
	Plan  bool   `xor:"form" help:"Print the plan."`
	Insns bool   `xor:"form" help:"Print the annotated instructions."`
	JSON  bool   `name:"json" xor:"form" help:"Print JSON."`
	File  string `arg:"" help:"The text; - for standard input."`
}

// Help is the long help.
func (translateCmd) Help() string {
	return `Example:
  bpftables translate /etc/iptables/rules.v4
  bpftables translate --insns rules.v4 | less

Each rule is shown with where it runs: in BPF, in BPF with its target run by
netfilter (shim), or in netfilter with its whole table, and why. Rules of long chains are
looked up: it is said how, and about how long that takes.`
}

// Run translates the file.
func (c *translateCmd) Run(s *streams) error {
	rs, err := s.readRuleset(c.File, c.family())
	if err != nil {
		return err
	}
	classifier, err := c.classifier(s.caller)
	if err != nil {
		return err
	}
	res := translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Classifier: classifier, Can: shim.Can})
	switch {
	case c.Plan:
		if _, err := fmt.Fprint(s.out, res.Plan); err != nil {
			return err
		}
	case c.Insns:
		return printInsns(s.out, res.Plan)
	case c.JSON:
		return writeJSON(s.out, placements(rs, res.Plan))
	default:
		printPlacements(s.out, placements(rs, res.Plan), res.Plan)
	}
	return printChoices(s.out, res.Plan)
}

// printChoices says how the rules of long chains are found.
func printChoices(w io.Writer, p *plan.Plan) error {
	image, err := codegen.Image(p, rows.Drawn())
	if err != nil || image == nil {
		return err
	}
	for _, c := range image.Choices {
		fmt.Fprintf(w, "chain %s %s: %s\n", c.Table, c.Chain, c)
	}
	return nil
}

// readRuleset reads a file on its own, as if nothing were there before.
func (s *streams) readRuleset(file string, family packet.Family) (*ruleset.Ruleset, error) {
	in, name, err := s.open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	rs, _, err := iptables.Read(in, iptables.Options{
		File: name, Family: family, Resolver: s.caller.Resolver(), Output: s.out,
	})
	return rs, err
}

// placement says where one rule runs.
type placement struct {
	Table string `json:"table"`
	Line  int    `json:"line"`
	Rule  string `json:"rule"`
	Where string `json:"where"` // bpf, shim, netfilter
	Why   string `json:"why,omitempty"`
}

func placements(rs *ruleset.Ruleset, p *plan.Plan) []placement {
	var out []placement
	for i, t := range rs.Tables {
		reach := t.Hooks(rs.Family)
		for _, c := range t.Chains {
			hooks := reach[c]
			for _, r := range c.Rules {
				pl := placement{Table: t.Name, Line: r.Pos.Line, Rule: iptables.PrintRule(r, c.Name)}
				pl.Where, pl.Why = where(rs.Family, t, r, hooks, p.Tables[i])
				out = append(out, pl)
			}
		}
	}
	return out
}

func where(family packet.Family, t *ruleset.Table, r *ruleset.Rule, hooks uint8, p *plan.Table) (place, why string) {
	if !p.InBPF {
		for _, n := range p.Reasons {
			if n.Pos == r.Pos.String() {
				return "netfilter", n.Thing + ": " + n.Why
			}
		}
		if len(p.Reasons) == 0 {
			return "netfilter", "table " + t.Name + " changes packets"
		}
		return "netfilter", "with its table, because of " + p.Reasons[0].Pos
	}
	if hooks == 0 {
		return "bpf", "no packet reaches the chain"
	}
	if r.Target == nil {
		return "bpf", ""
	}
	in := t.Place(family, hooks)
	in.Rule = r
	a := r.Target.Lower(in)
	if a.Op == pred.Do {
		return "shim", "netfilter runs " + r.Target.Word() + ", told by BPF"
	}
	return "bpf", ""
}

func printPlacements(w io.Writer, all []placement, p *plan.Plan) {
	table := ""
	for _, pl := range all {
		if pl.Table != table {
			table = pl.Table
			fmt.Fprintf(w, "*%s\n", table)
		}
		why := ""
		if pl.Why != "" {
			why = "    # " + pl.Why
		}
		fmt.Fprintf(w, "%-9s %5d  %s%s\n", pl.Where, pl.Line, pl.Rule, why)
	}
	for _, t := range p.Tables {
		fmt.Fprintf(w, "table %s: %s\n", t.Name, tableSummary(t))
	}
}

func tableSummary(t *plan.Table) string {
	if t.InBPF {
		return fmt.Sprintf("BPF, %d targets run by netfilter", len(t.Actions))
	}
	if len(t.Reasons) == 0 {
		return "netfilter, because the table changes packets"
	}
	var why []string
	for _, n := range t.Reasons {
		why = append(why, n.String())
	}
	return "netfilter, because of " + strings.Join(why, "; ")
}

func printInsns(w io.Writer, p *plan.Plan) error {
	progs, err := codegen.Generate(p, nil)
	if err != nil {
		return err
	}
	for _, prog := range progs {
		fmt.Fprintf(w, "# %s %s %s\n%v%v\n", prog.Family, prog.Table, prog.Hook, prog.Lead.Insns, prog.Insns)
	}
	return nil
}
