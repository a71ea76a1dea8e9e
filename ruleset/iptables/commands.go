package iptables

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/bpftables/bpftables/ruleset/target"
)

// command takes an option that names a command.
func (p *specParser) command(f found, invert bool) {
	c := p.c
	if invert {
		p.fatal(f.at, f.name, "cannot have ! before it", "remove the !").as(saidUsage("unexpected '!' flag"))
		return
	}
	c.at = f.at
	if f.hasVal {
		c.chain, c.hasName = f.val, true
	}
	switch f.code {
	case 'A':
		p.add(f, cmdAppend, 0)
	case 'C':
		p.add(f, cmdCheck, 0)
	case 'D':
		p.add(f, cmdDelete, 0)
		if c.number = p.numberFollowing(0); c.number != 0 {
			c.bits = cmdDeleteNum
		}
	case 'R':
		p.add(f, cmdReplace, 0)
		if c.number = p.numberFollowing(0); c.number == 0 {
			p.fault(f.at, "-R", "needs a rule number", "-R CHAIN NUMBER RULE").as(saidUsage("-R requires a rule number"))
		}
	case 'I':
		p.add(f, cmdInsert, 0)
		c.number = p.numberFollowing(1)
	case 'N':
		p.newChainName(c.chain)
		p.add(f, cmdNewChain, 0)
	case 'E':
		p.add(f, cmdRenameChain, 0)
		c.newName = p.second(f, "-E OLD NEW", "old-chain-name and new-chain-name")
	case 'P':
		p.add(f, cmdSetPolicy, 0)
		c.policy = p.second(f, "-P CHAIN ACCEPT or DROP", "a chain and a policy")
	default:
		p.optionalChain(f)
	}
}

// optionalChain takes the commands whose chain may be missing.
func (p *specParser) optionalChain(f found) {
	c := p.c
	switch f.code {
	case 'L':
		p.add(f, cmdList, cmdZero|cmdZeroNum)
	case 'S':
		p.add(f, cmdListRules, cmdZero|cmdZeroNum)
	case 'F':
		p.add(f, cmdFlush, 0)
	case 'Z':
		p.add(f, cmdZero, cmdList|cmdListRules)
	case 'X':
		p.add(f, cmdDeleteChain, 0)
	}
	if !f.hasVal {
		if name, ok := p.scan.takeFollowing(); ok {
			c.chain, c.hasName = name, true
		}
	}
	if f.code != 'L' && f.code != 'S' && f.code != 'Z' {
		return
	}
	if n := p.numberFollowing(0); n != 0 {
		c.number = n
		if f.code == 'Z' {
			c.bits = cmdZeroNum
		}
	}
}

// numberFollowing reads the rule number that may follow; without one it is missing.
func (p *specParser) numberFollowing(missing int) int {
	if n, ok := p.scan.takeFollowing(); ok {
		return p.ruleNumber(n)
	}
	return missing
}

// add is add_command(): two commands only where they go together.
func (p *specParser) add(f found, cmd, others int) {
	if clash := p.c.bits &^ others; clash != 0 {
		p.fatal(f.at, f.name, fmt.Sprintf("cannot be used with -%c", cmdChars[bits.TrailingZeros(uint(clash))]),
			"one command a line").as(saidUsage("Cannot use -%c with -%c", cmdChars[bits.TrailingZeros(uint(cmd))], cmdChars[bits.TrailingZeros(uint(clash))]))
		return
	}
	p.c.bits |= cmd
}

// second takes the second argument of a command.
func (p *specParser) second(f found, usage, both string) arg {
	a, ok := p.scan.takeFollowing()
	if !ok {
		p.fault(f.at, f.name, "needs two arguments", usage).as(saidUsage("-%c requires %s", f.code, both))
	}
	return a
}

// newChainName is assert_valid_chain_name().
func (p *specParser) newChainName(a arg) {
	name := a.text
	switch {
	case len(name) > nameMax:
		p.fault(a.at, name, "chain name too long", fmt.Sprintf("at most %d characters", nameMax)).as(saidLong(name))
	case name == "":
		p.fault(a.at, "-N", "the chain name is empty", "give a name").as(saidUsage("chain name may not clash with target name"))
	case name[0] == '-' || name[0] == '!':
		p.fault(a.at, name, fmt.Sprintf("a chain name cannot start with %q", name[:1]), "choose another name").
			as(saidUsage("chain name not allowed to start with `%c'", name[0]))
	case standardTarget(name) || !p.announced[name] && target.Find(name, p.o.Family) != nil:
		p.fault(a.at, name, "a chain name cannot be that of a target", "choose another name").
			as(saidUsage("chain name may not clash with target name"))
	case strings.ContainsAny(name, " \t\n\v\f\r"):
		p.fault(a.at, name, "a chain name cannot have blanks", "choose another name").as(saidUsage("Invalid chain name `%s'", name))
	}
}
