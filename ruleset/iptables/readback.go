package iptables

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/target"
)

// countersMax is how long "[packets:bytes] " before a rule may be.
const countersMax = 48

// verbatim says whether a line of the text, from "-A" on, is what is printed for the
// rule that was read from it: then reading the print gives the rule again.
func (rd *reader) verbatim(chain string, r *ruleset.Rule) bool {
	text := rd.now.text
	if len(text) > 0 && text[0] == '[' {
		for i := 0; i < len(text)-1; i++ {
			if text[i] == ' ' {
				text = text[i+1:]
				break
			}
		}
	}
	if rd.now.before != 0 || len(text) > chunkMax-countersMax || len(text) < 2 || text[:2] != "-A" {
		return false
	}
	rd.printed = append(AppendRule(rd.printed[:0], r, chain), '\n')
	return string(rd.printed) == text
}

// CheckReadable refuses a ruleset that Print would write in a form that Read does not
// take. Rules whose text was read are known to be good; the others are printed and
// read, with those that decide which chains are reached from where.
func CheckReadable(rs *ruleset.Ruleset, o Options) error {
	doubtful := doubtfulPart(rs)
	if len(doubtful.Tables) == 0 {
		return nil
	}
	slices.Reverse(doubtful.Tables) // Print turns them round
	var text bytes.Buffer
	if err := Print(&text, doubtful, PrintOptions{Counters: true}); err != nil {
		return err
	}
	_, _, err := Read(&text, Options{File: o.File, Family: rs.Family, Resolver: o.Resolver, Counters: true})
	return err
}

// doubtfulPart is what CheckReadable must read: tables with rules that are not known to
// be good, and of them only those rules and the ones that end or leave a chain.
func doubtfulPart(rs *ruleset.Ruleset) *ruleset.Ruleset {
	out := &ruleset.Ruleset{Family: rs.Family}
	all := oddNames(rs)
	for _, t := range rs.Tables {
		part, found := &ruleset.Table{Name: t.Name}, all
		for _, c := range t.Chains {
			kept := &ruleset.Chain{Name: c.Name, Policy: c.Policy, Counters: c.Counters}
			for _, r := range c.Rules {
				found = found || !r.Verbatim
				if all || !r.Verbatim || isJump(r.Target) || ends(r) {
					kept.Rules = append(kept.Rules, r)
				}
			}
			part.AddChain(kept)
		}
		if found {
			out.Tables = append(out.Tables, part)
		}
	}
	return out
}

// oddNames says whether a chain has a name that does not read as it was given, or one
// that makes the rules of all tables read in another way: that of a target.
func oddNames(rs *ruleset.Ruleset) bool {
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			if len(c.Name) > nameMax || strings.Trim(c.Name, plainName) != "" || target.Find(c.Name, rs.Family) != nil {
				return true
			}
		}
	}
	return false
}

// plainName are the characters of names that nothing has to be said about.
const plainName = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:"
