package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/interp"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// explainCmd is "bpftables explain".
type explainCmd struct {
	familyFlag
	Ruleset string `placeholder:"FILE" help:"Explain these rules instead of the live ones."`
	JSON    bool   `name:"json" help:"Print JSON."`
	Packet  string `arg:"" help:"The packet, in one argument."`
}

// Help is the long help.
func (explainCmd) Help() string {
	return `Example:
  bpftables explain 'tcp 192.0.2.7:5555 > 198.51.100.1:22 in eth0 ct new flags syn'

Each rule that was tried is printed with its line and why it did or did not match.
Chains that translate addresses are walked for the first packet of a connection, which goes on
translated.
The packet language is in docs/packets.md.`
}

// Run walks the rules.
func (c *explainCmd) Run(s *streams) error {
	family := c.family()
	if strings.Contains(c.Packet, "[") {
		family = packet.IPv6
	}
	f, err := packet.Parse(family, c.Packet)
	if err != nil {
		return err
	}
	all, err := c.rules(s, family)
	if err != nil {
		return err
	}
	f.World.AddrTypes, f.World.AddrOf = localTypes(), addressOf
	interp.LoadSets(f.World, all.Rules.Sets)
	stops := interp.Walk(all.Rules, f, interp.ByEval)
	for i := range stops {
		if owner, is := all.Unread[stops[i].Table]; is {
			stops[i].Why = "passed over: this program cannot read the rules of " + owner
		}
	}
	if c.JSON {
		return writeJSON(s.out, jsonStops(stops))
	}
	fmt.Fprintf(s.out, "packet: %s\n", f)
	for _, stop := range stops {
		printStop(s.out, stop)
	}
	fmt.Fprintf(s.out, "verdict: %s\n", verdict(stops))
	return nil
}

func (c *explainCmd) rules(s *streams, family packet.Family) (*apply.All, error) {
	if c.Ruleset != "" {
		rs, err := s.readRuleset(c.Ruleset, family)
		return &apply.All{Rules: rs}, err
	}
	all, err := s.everyone(family)
	if err != nil {
		return nil, err
	}
	// Lines of the stored text are not lines of a file of the user's.
	for _, t := range all.Rules.Tables {
		for _, chain := range t.Chains {
			for _, r := range chain.Rules {
				r.Pos = ruleset.Pos{}
			}
		}
	}
	return all, nil
}

// verdict is the outcome of the whole way, and who decided it.
func verdict(stops []interp.Stop) string {
	out := "ACCEPT, no rule here decides"
	for _, s := range stops {
		if s.Why != "" || s.Settled {
			continue
		}
		out = s.Result.Verdict.String() + decidedBy(s)
	}
	return out
}

func decidedBy(s interp.Stop) string {
	r := s.Result
	at := fmt.Sprintf(" by table %s", s.Table)
	switch {
	case r.Verdict == interp.Taken:
		at = fmt.Sprintf(" (%s)%s", ruleset.TextOf(r.Decider.Target), at)
	case r.Hotdrop:
		return at + ": a match drops the packet, whose headers it cannot read"
	case r.Policy:
		return at + ", policy of " + r.Chain
	}
	if r.Decider == nil {
		return at
	}
	at += fmt.Sprintf(", rule %d of %s", r.Number, r.Chain)
	if r.Decider.Pos.Line > 0 {
		at += fmt.Sprintf(", line %d", r.Decider.Pos.Line)
	}
	return at
}

// chainOf says which chain it is, where the table and the hook do not.
func chainOf(s interp.Stop) string {
	if s.Owner == tables.Owner {
		return ""
	}
	return fmt.Sprintf(", chain %s, priority %d", s.Chain, s.Priority)
}

func printStop(w io.Writer, s interp.Stop) {
	fmt.Fprintf(w, "table %s at %s%s\n", s.Table, s.Hook, chainOf(s))
	if s.Why != "" {
		fmt.Fprintf(w, "  %s\n", s.Why)
		return
	}
	for _, step := range s.Result.Steps {
		fmt.Fprintf(w, "  %s\n", step)
		if step.Rule != nil {
			fmt.Fprintf(w, "  %s    %s\n", strings.Repeat("  ", step.Depth), iptables.PrintRule(step.Rule, step.Chain))
		}
	}
	if s.Translated != "" {
		fmt.Fprintf(w, "  translated: %s\n", s.Translated)
	}
	for _, u := range s.Result.Unknown {
		fmt.Fprintf(w, "  not known here: %s\n", u)
	}
}

// The JSON forms of an explanation.
type (
	jsonStop struct {
		Table    string     `json:"table"`
		Owner    string     `json:"owner"`
		Chain    string     `json:"chain"`
		Hook     string     `json:"hook"`
		Priority int32      `json:"priority"`
		Why      string     `json:"note,omitempty"`
		Verdict  string     `json:"verdict,omitempty"`
		Changed  string     `json:"translated,omitempty"`
		Steps    []jsonStep `json:"steps,omitempty"`
	}
	jsonStep struct {
		Chain  string `json:"chain"`
		Depth  int    `json:"depth"`
		Number int    `json:"number,omitempty"`
		Line   int    `json:"line,omitempty"`
		Rule   string `json:"rule,omitempty"`
		Answer string `json:"answer,omitempty"`
		Failed string `json:"failed,omitempty"`
		Policy string `json:"policy,omitempty"`
	}
)

func jsonStops(stops []interp.Stop) []jsonStop {
	out := []jsonStop{}
	for _, s := range stops {
		js := jsonStop{Table: s.Table, Owner: s.Owner, Chain: s.Chain, Hook: s.Hook.String(), Priority: s.Priority, Why: s.Why, Changed: s.Translated}
		if s.Why == "" {
			js.Verdict = s.Result.Verdict.String()
		}
		for _, step := range s.Result.Steps {
			one := jsonStep{Chain: step.Chain, Depth: step.Depth, Number: step.Number, Failed: step.Failed, Policy: step.Policy}
			if step.Rule != nil {
				one.Rule, one.Line = iptables.PrintRule(step.Rule, step.Chain), step.Rule.Pos.Line
				one.Answer = step.Answer.String()
			}
			js.Steps = append(js.Steps, one)
		}
		out = append(out, js)
	}
	return out
}
