package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// saveCmd is "bpftables save".
type saveCmd struct {
	familyFlag
	Counters bool   `short:"c" help:"Print counters."`
	Table    string `short:"t" enum:",raw,mangle,nat,filter,security" default:"" help:"Only this table."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help is the long help.
func (saveCmd) Help() string {
	return `Example:
  bpftables save -c > /etc/iptables/rules.v4

The text is that of iptables-legacy-save. Tables that only iptables-legacy or iptables-nft
holds are printed, too; where they hold rules beside ours, a warning says so.`
}

// Run prints the rules.
func (c *saveCmd) Run(s *streams) error {
	if c.JSON {
		rs, err := s.current(c.family())
		if err != nil {
			return err
		}
		return writeJSON(s.out, jsonRuleset(rs, c.Table))
	}
	return s.withEngine(c.family(), func(e *apply.Engine) error {
		return beside.Save(e, s.caller, s.out, iptables.PrintOptions{Counters: c.Counters, Table: c.Table, Comments: true}, beside.How{})
	})
}

// current is what is enforced, with live counters: our rules, and the tables that only
// netfilter's tools hold; empty when there is none.
func (s *streams) current(family packet.Family) (rs *ruleset.Ruleset, err error) {
	err = s.withEngine(family, func(e *apply.Engine) error {
		rs, err = s.view(e)
		return err
	})
	return rs, err
}

// listCmd is "bpftables list".
type listCmd struct {
	familyFlag
	Table       string `short:"t" enum:"raw,mangle,nat,filter,security" default:"filter" help:"The table."`
	Verbose     bool   `short:"v" help:"Counters, interfaces and options."`
	Numeric     bool   `short:"n" help:"Addresses and ports as numbers."`
	Exact       bool   `short:"x" help:"Counters in full."`
	LineNumbers bool   `name:"line-numbers" help:"Number the rules."`
	JSON        bool   `name:"json" help:"Print JSON."`
	Chain       string `arg:"" optional:"" help:"Only this chain."`
}

// Help is the long help.
func (listCmd) Help() string {
	return `Example:
  bpftables list -v -n --line-numbers INPUT`
}

// Run lists the rules.
func (c *listCmd) Run(s *streams) error {
	rs, err := s.current(c.family())
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, jsonRuleset(rs, c.Table))
	}
	t := rs.Table(c.Table)
	if t == nil {
		t = tables.New(c.Table, c.family())
	}
	if c.Chain != "" && t.Chain(c.Chain) == nil {
		return fmt.Errorf("chain %s: table %s has no such chain; see 'bpftables list -t %s'", c.Chain, c.Table, c.Table)
	}
	o := iptables.ListOptions{
		Family: c.family(), Verbose: c.Verbose, Numeric: c.Numeric, Exact: c.Exact,
		LineNumbers: c.LineNumbers, Chain: c.Chain,
	}
	if !c.Numeric {
		o.Names = s.caller.Resolver()
	}
	return iptables.List(s.out, t, o)
}

// The JSON forms of a ruleset.
type (
	jsonTable struct {
		Name   string      `json:"name"`
		Chains []jsonChain `json:"chains"`
	}
	jsonChain struct {
		Name    string     `json:"name"`
		Policy  string     `json:"policy,omitempty"`
		Packets uint64     `json:"packets"`
		Bytes   uint64     `json:"bytes"`
		Rules   []jsonRule `json:"rules"`
	}
	jsonRule struct {
		Number  int    `json:"number"`
		Rule    string `json:"rule"`
		Packets uint64 `json:"packets"`
		Bytes   uint64 `json:"bytes"`
	}
)

// jsonRuleset is the form of one table, or of all for "".
func jsonRuleset(rs *ruleset.Ruleset, table string) []jsonTable {
	out := []jsonTable{}
	for _, t := range rs.Tables {
		if table != "" && t.Name != table {
			continue
		}
		jt := jsonTable{Name: t.Name}
		for _, c := range t.Chains {
			jc := jsonChain{Name: c.Name, Policy: tables.PolicyOf(c), Packets: c.Counters.Packets, Bytes: c.Counters.Bytes, Rules: []jsonRule{}}
			for i, r := range c.Rules {
				jc.Rules = append(jc.Rules, jsonRule{i + 1, iptables.PrintRule(r, c.Name), r.Counters.Packets, r.Counters.Bytes})
			}
			jt.Chains = append(jt.Chains, jc)
		}
		out = append(out, jt)
	}
	return out
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
