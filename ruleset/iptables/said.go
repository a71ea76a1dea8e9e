package iptables

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/target"
)

// Said is how iptables 1.8.9 itself words a fault. Callers of iptables look for its words:
// they decide by them whether a chain is missing or a rule is there already. Errors of this
// package wrap one where the tool has words of its own; our own text says more.
type Said struct {
	How  How
	Text string // without the name of the program, and without the ending that How gives it
	NFT  *Said  // what iptables-nft says instead; nil: the same
	Line int    // of a text, if it is not that of the fault; 0: it is; AtCommit
	// Restore is what the program for texts says instead, with SaidOfTable.
	Restore string
}

// AtCommit as a line is that of the COMMIT behind the fault.
const AtCommit = -1

// Program stands in texts for the name of the program.
const Program = "{program}"

// How is the form that a message of iptables has.
type How uint8

// The forms, with the exit codes that go with them.
const (
	// SaidOfUsage is xtables_error(PARAMETER_PROBLEM): version, text, a hint to --help; 2.
	SaidOfUsage How = iota
	// SaidPlainly is a text alone, then the hint to --help; 2.
	SaidPlainly
	// SaidOfRules is what the library finds wrong with what is there ("iptables: Text."); 1.
	SaidOfRules
	// SaidOtherwise is xtables_error(OTHER_PROBLEM); 1.
	SaidOtherwise
	// SaidOfTable is xtables_error(VERSION_PROBLEM), of a table that cannot be had; 3.
	SaidOfTable
	// SaidByKernel is what iptables-nft says when the kernel refuses its transaction; 4.
	SaidByKernel
	// SaidOfLine is a line of a text that could not be done ("line 3 failed"); 1.
	SaidOfLine
	// SaidOfText is what iptables-restore finds wrong with a text; 1.
	SaidOfText
)

// Error is the bare text.
func (s *Said) Error() string { return s.Text }

// saidRules is what the library finds wrong with what is there.
func saidRules(text string) *Said { return &Said{How: SaidOfRules, Text: text} }

// saidUsage is what is wrong with a command line.
func saidUsage(format string, args ...any) *Said {
	return &Said{Text: fmt.Sprintf(format, args...)}
}

// onNFT adds what iptables-nft says instead.
func (s *Said) onNFT(how How, format string, args ...any) *Said {
	s.NFT = &Said{How: how, Text: fmt.Sprintf(format, args...)}
	return s
}

// The messages of iptc_strerror() (libiptc/libiptc.c) that several commands give.
const (
	saidNoName  = "No chain/target/match by that name"
	saidBadRule = "Bad rule (does a matching rule exist in that chain?)"
	saidExists  = "Chain already exists"
	saidDmesg   = ". Run `dmesg' for more information"
	saidInvalid = "Invalid argument" + saidDmesg
	saidPolicy  = "Bad policy name" + saidDmesg
)

// saidLine is said of a line that iptables-restore cannot do.
var saidLine = &Said{How: SaidOfLine}

// saidCommit is said of a text that ends too early.
func saidCommit(line int) *Said {
	return &Said{How: SaidOfText, Text: fmt.Sprintf("COMMIT expected at line %d", line)}
}

// saidInText is what iptables-restore says of a line that it cannot read.
func saidInText(line int, what string) *Said {
	return saidUsage("%s: line %d %s", Program, line, what)
}

// saidCounters is said of counters that are not closed.
func saidCounters(line int) *Said { return saidUsage("Bad line %d: need ]", line) }

// saidOfPolicy is what iptables-restore says of a policy.
func saidOfPolicy(f *fault, chain, policy string, line int) *Said {
	return (&Said{How: SaidOtherwise, Text: fmt.Sprintf("Can't set policy `%s' on `%s' line %d: %s",
		policy, chain, line, strings.TrimSuffix(f.said.Text, saidDmesg))}).onNFT(SaidOfRules, "%s", strings.TrimSuffix(f.said.Text, saidDmesg))
}

// saidTable is said of a table that there is not.
func (o *Options) saidTable(name string, line int) *Said {
	s := &Said{How: SaidOfTable, Text: fmt.Sprintf("can't initialize %s table `%s': Table does not exist (do you need to insmod?)", o.program(""), name)}
	s.Restore = fmt.Sprintf("%s: unable to initialize table '%s'", Program, name)
	s.onNFT(SaidOfTable, "table '%s' does not exist", name)
	s.NFT.Restore = fmt.Sprintf("%s: line %d table name '%s' invalid", Program, line, name)
	return s
}

// saidRefused is said of a rule that the kernel does not take: by iptables-restore at the end of
// the table, at a line; did is what iptables-nft calls the command.
func saidRefused(f refusal, did string, end int) *Said {
	legacy, reason := saidInvalid, "Invalid argument"
	switch f.reason {
	case "":
	case reasonLoop:
		legacy, reason = f.reason, "Too many links"
	default:
		legacy, reason = f.reason, f.reason
	}
	s := saidRules(legacy).onNFT(SaidByKernel, "%s failed (%s): rule in chain %s", did, reason, f.chain)
	s.Line = end
	return s
}

// reasonLoop is what ip_tables says of chains that call each other in a circle (ELOOP).
const reasonLoop = "Too many levels of symbolic links"

// reasonOf is the reason that an error of a Check stands for.
func reasonOf(err error) string {
	var w *ruleset.Worded
	if errors.As(err, &w) {
		return w.Tool
	}
	return ""
}

// placedBy is what iptables-nft calls the command that puts a rule somewhere.
func placedBy(bits int) string {
	switch {
	case bits&cmdInsert != 0:
		return "RULE_INSERT"
	case bits&cmdReplace != 0:
		return "RULE_REPLACE"
	}
	return "RULE_APPEND"
}

// noted is a Said with the number of its fault: iptables ends with the first that it finds,
// and faults are told in the order of their places.
type noted struct {
	*Said
	number int
}

// Unwrap gives what is said.
func (n *noted) Unwrap() error {
	if n.Said == nil {
		return nil
	}
	return n.Said
}

// FirstSaid is what iptables says of an error of this package: of the fault that it would
// have found first, and that fault. A nil Said: it has no words of its own for that; a nil fault:
// the error is not of this package.
func FirstSaid(err error) (said *Said, first *ruleset.Error) {
	number := 0
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case *ruleset.Error:
			if s, at := saidOfCause(e.Cause); first == nil || at < number {
				said, number, first = s, at, e
			}
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				walk(one)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	return said, first
}

// saidOfCause takes what was noted with a fault.
func saidOfCause(cause error) (*Said, int) {
	switch s := cause.(type) {
	case *noted:
		return s.Said, s.number
	case *Said:
		return s, 0
	}
	return nil, 0
}

// saidNotFiltering is what is said of DROP in table nat.
const saidNotFiltering = "\nThe \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n"

// saidOf is what is said of an error of an option of a word, or of the word; nil: nothing is known.
func saidOf(word, option string, err error) *Said {
	var w *ruleset.Worded
	switch {
	case errors.Is(err, ruleset.ErrTranslating):
		return saidUsage(saidNotFiltering)
	case !errors.As(err, &w):
		return nil
	}
	text := strings.ReplaceAll(w.Tool, ruleset.OptionName, option)
	if w.Of {
		text = word + ": " + text
	}
	return saidUsage("%s", text)
}

// saidLong is what is said of a chain's name.
func saidLong(name string) *Said {
	return saidUsage("chain name `%s' too long (must be under %d chars)", name, nameMax+1)
}

// saidMissing is what a command says of a chain that there is not: to those that look for a
// rule it is the rule that is missing.
func saidMissing(bits int, chain, table string) *Said {
	switch {
	case bits&(cmdCheck|cmdDelete) != 0:
		return saidRules(saidBadRule)
	case bits&cmdSetPolicy != 0:
		return saidRules("Bad built-in chain name")
	case bits&(cmdList|cmdListRules) != 0:
		return saidRules(saidNoName).onNFT(SaidOtherwise, "chain `%s' in table `%s' is incompatible, use 'nft' tool.", chain, table)
	}
	return saidRules(saidNoName)
}

// saidNoRule is said of a rule that is not in its chain. libiptc words the fault of the function
// that it called last: where the target is no verdict it has looked for a chain of that name
// (iptcc_map_target(), libiptc/libiptc.c).
func saidNoRule(r *ruleset.Rule) *Said {
	if _, verdict := r.Target.(*target.Verdict); !verdict && r.Target != nil {
		return saidRules(saidNoName).onNFT(SaidOfRules, saidBadRule)
	}
	return saidRules(saidBadRule)
}

// saidTooBig is what a command says of the number of a rule that there is not.
func saidTooBig(bits int) *Said {
	switch {
	case bits&cmdInsert != 0:
		return saidRules("Index of insertion too big")
	case bits&cmdReplace != 0:
		return saidRules("Index of replacement too big")
	case bits&cmdZeroNum != 0:
		return saidRules("Index of counter too big")
	}
	return saidRules("Index of deletion too big")
}
