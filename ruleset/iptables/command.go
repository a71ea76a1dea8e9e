package iptables

import (
	"fmt"
	"math/bits"

	"github.com/bpftables/bpftables/ruleset"
)

// The commands of iptables, as bits: -L and -S may be joined with -Z.
const (
	cmdInsert = 1 << iota
	cmdDelete
	cmdDeleteNum
	cmdReplace
	cmdAppend
	cmdList
	cmdFlush
	cmdZero
	cmdNewChain
	cmdDeleteChain
	cmdSetPolicy
	cmdRenameChain
	cmdListRules
	cmdZeroNum
	cmdCheck
)

// cmdChars are the option letters of the commands, by bit.
const cmdChars = "IDDRALFZNXPESZC"

// cmdWithRule are the commands that take a rule specification.
const cmdWithRule = cmdInsert | cmdDelete | cmdReplace | cmdAppend | cmdCheck

// The options that every command may meet, as bits.
const (
	optNumeric = 1 << iota
	optSource
	optDestination
	optProtocol
	optJump
	optVerbose
	optExact
	optIn
	optOut
	optLineNumbers
	optCounters
	optFragment
)

// optChars are the letters of the options, by bit.
const optChars = "nsdpjvxio0cf"

const optRule = optSource | optDestination | optProtocol | optJump | optVerbose | optIn | optOut | optFragment

// legalOptions says which options a command allows (commands_v_options in
// iptables/xshared.c).
var legalOptions = map[int]int{
	cmdInsert:      optRule | optCounters,
	cmdReplace:     optRule | optCounters,
	cmdAppend:      optRule | optCounters,
	cmdDelete:      optRule,
	cmdCheck:       optRule,
	cmdDeleteNum:   optVerbose,
	cmdList:        optNumeric | optVerbose | optExact | optLineNumbers,
	cmdFlush:       optVerbose,
	cmdZero:        optVerbose,
	cmdNewChain:    optVerbose,
	cmdDeleteChain: optVerbose,
	cmdSetPolicy:   optVerbose | optCounters,
	cmdRenameChain: optVerbose,
	cmdListRules:   optVerbose,
	cmdZeroNum:     optVerbose,
}

// command is one parsed line: a command with the rule that it is about.
type command struct {
	bits    int
	ignored bool // "-6" in a text for IPv4, or the reverse
	at      int  // of the command's option
	chain   arg
	hasName bool // chain is given
	number  int
	newName arg
	policy  arg

	options  int // opt* bits that were given
	inverted int // those of them with "!"
	verbose  int
	proto    uint8
	protoAs  arg
	source   arg
	dest     arg
	in, out  arg
	counters ruleset.Counters

	jump     arg
	gotoSet  bool
	words    []*word // matches in order; a target is not among them
	target   *word
	optionAt [12]int // where each option was given
}

// legal refuses options that the command does not allow; with -L -Z it is enough
// that one of the two allows it (generic_opt_check() in iptables/xshared.c).
func (c *command) legal() *fault {
	if c.bits == 0 {
		return nil
	}
	allowed := 0
	for b := c.bits; b != 0; b &= b - 1 {
		allowed |= legalOptions[b&-b]
	}
	bad := c.options &^ allowed
	if bad == 0 {
		return nil
	}
	i := bits.TrailingZeros(uint(bad))
	name := optName(1 << i)
	thing := name
	if bad&-bad == optLineNumbers {
		thing = "--line-numbers"
	}
	return &fault{
		at: c.optionAt[i], thing: thing,
		what: fmt.Sprintf("not allowed with -%c", cmdChars[bits.TrailingZeros(uint(c.bits))]), fix: "remove it",
		said: saidUsage("Illegal option `%s' with this command", name),
	}
}

// misplaced refuses -o where no packet has an outgoing interface yet, and -i where
// it has none that it came in on, judged by the name of the chain.
func (c *command) misplaced() *fault {
	if c.bits&(cmdWithRule|cmdDeleteNum) == 0 {
		return nil
	}
	switch c.chain.text {
	case "PREROUTING", "INPUT":
		if c.options&optOut != 0 {
			return &fault{at: c.out.at, thing: "-o", what: "cannot be used in " + c.chain.text,
				fix: "packets have no outgoing interface there", said: saidUsage("Can't use -o with %s\n", c.chain.text)}
		}
	case "POSTROUTING", "OUTPUT":
		if c.options&optIn != 0 {
			return &fault{at: c.in.at, thing: "-i", what: "cannot be used in " + c.chain.text,
				fix: "packets have no incoming interface there", said: saidUsage("Can't use -i with %s\n", c.chain.text)}
		}
	}
	return nil
}
