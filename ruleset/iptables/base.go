package iptables

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// optName is an option as messages of iptables name it.
func optName(bit int) string {
	i := bits.TrailingZeros(uint(bit))
	return "-" + optChars[i:i+1]
}

// optBit says which option bit a letter sets, and whether "!" may stand before it.
func optBit(code byte) (bit int, negates bool) {
	switch code {
	case 's':
		return optSource, true
	case 'd':
		return optDestination, true
	case 'p':
		return optProtocol, true
	case 'i':
		return optIn, true
	case 'o':
		return optOut, true
	case 'f':
		return optFragment, true
	case 'g', 'j':
		return optJump, false
	case 'v':
		return optVerbose, false
	}
	i := strings.IndexByte(optChars, code)
	if i < 0 {
		return 0, false
	}
	return 1 << i, false
}

// set is set_option(): each option once, "!" only where it has a meaning.
func (p *specParser) set(f found, invert bool) {
	bit, negates := optBit(f.code)
	switch {
	case f.code == 'v' && p.c.verbose > 0:
	case p.c.options&bit != 0:
		p.fault(f.at, f.name, "given more than once", "one a rule").as(saidUsage("multiple %s flags not allowed", optName(bit)))
	case invert && !negates:
		p.fault(f.at, f.name, "cannot have ! before it", "remove the !").as(saidUsage("cannot have ! before %s", optName(bit)))
	}
	p.c.options |= bit
	p.c.optionAt[bits.TrailingZeros(uint(bit))] = f.at
	if invert {
		p.c.inverted |= bit
	}
}

// base takes an option of the commands themselves.
func (p *specParser) base(f found, invert bool) {
	c := p.c
	if bit, _ := optBit(f.code); bit != 0 {
		p.set(f, invert)
	}
	if strings.IndexByte("sdpioj", f.code) >= 0 {
		// do_parse() takes the whole argument before the next one: "-ptcp" and
		// "--protocol=tcp" name a protocol of that spelling.
		f.val = p.scan.args[p.scan.ind-1]
	}
	switch f.code {
	case 's':
		c.source = f.val
	case 'd':
		c.dest = f.val
	case 'i', 'o':
		p.iface(f)
	case 'p':
		p.protocol(f, invert)
	case 'g':
		c.gotoSet, c.jump = true, f.val
		p.targetName(f.val)
	case 'j':
		c.jump = f.val
		if p.targetName(f.val) {
			p.loadTarget(f.val)
		}
	case 'f':
		if p.o.Family == packet.IPv6 {
			p.fault(f.at, "-f", "not supported in IPv6", "use -m frag").as(saidUsage("`-f' is not supported in IPv6, use -m frag instead"))
		}
	case 'v':
		c.verbose++
	case 'n', 'x', '0', 'M':
	case 'c':
		p.counters(f)
	case 'm':
		p.match(f, invert)
	default:
		p.special(f, invert)
	}
}

// current is the argument before the next one, which getopt() stands at: within a cluster of letters
// it is the one before the cluster.
func (p *specParser) current() string {
	switch at := p.scan.ind - 1; {
	case at >= 0:
		return p.scan.args[at].text
	case p.restore:
		return p.table
	}
	return Program
}

// special takes the options that end or refuse a command.
func (p *specParser) special(f found, invert bool) {
	switch {
	case p.argv != nil:
		p.argvOption(f, invert)
	case f.code == 't':
		if p.restore {
			p.fault(f.at, f.name, "cannot be used inside a text", "the \"*table\" line names the table").
				as(saidUsage("The -t option cannot be used in %s.\n", Program))
		} else if f.val.text != p.table || invert {
			p.fault(f.at, f.name, fmt.Sprintf("names table %q in a rule of table %q", f.val.text, p.table), "")
		}
	case f.code == 'w' || f.code == 'W':
		p.fault(f.at, f.name, "cannot be used inside a text", "give it to the command").
			as(saidUsage("You cannot use `-%c' from iptables-restore", f.code))
	case f.code == '4' && p.o.Family == packet.IPv6, f.code == '6' && p.o.Family == packet.IPv4:
		if len(p.faults) == 0 {
			p.c.ignored = true
		}
	case f.code == '4', f.code == '6':
	case f.code == 'h' || f.code == 'V':
		p.fatal(f.at, f.name, "not a part of a rule", "remove it")
	default:
		p.fatal(f.at, f.name, "unknown option", "").as(saidUsage("unknown option \"%s\"", p.current()))
	}
}

// match loads the word after -m.
func (p *specParser) match(f found, invert bool) {
	if invert {
		p.fatal(f.at, f.name, "cannot have ! before it", "put the ! before an option of the match").
			as(saidUsage("unexpected ! flag before --match"))
		return
	}
	if len(f.val.text) > nameMax {
		p.fatal(f.val.at, f.val.text, "match name too long", fmt.Sprintf("at most %d characters", nameMax)).
			as(saidUsage("Invalid match name \"%s\" (%d chars max)", f.val.text, nameMax))
		return
	}
	kind := match.Find(f.val.text, p.o.Family)
	if kind == nil {
		p.fatal(f.val.at, f.val.text, fmt.Sprintf("no such match for %s", p.o.Family), "").
			as(saidUsage("Couldn't load match `%s':No such file or directory\n", loadedAs(f.val.text)))
		return
	}
	p.loadMatch(kind, f.val.at)
}

// loadedAs is the name under which iptables looks for a match (xtables_find_match(), libxtables).
func loadedAs(name string) string {
	if name == "icmpv6" || name == "ipv6-icmp" {
		return "icmp6"
	}
	return name
}

// protocol takes -p.
func (p *specParser) protocol(f found, invert bool) {
	text := strings.ToLower(f.val.text)
	n, err := match.ParseProtocol(text, p.o.Resolver)
	switch {
	case err != nil:
		p.fault(f.val.at, "-p", err.Error(), spaceFix(f.val.text)).as(saidUsage("unknown protocol \"%s\" specified", text))
		return
	case n == 0 && invert:
		p.fault(f.val.at, "-p", "\"! -p all\" would never match", "name a protocol").as(saidUsage("rule would never match protocol"))
	}
	p.c.proto, p.c.protoAs = n, arg{text, f.val.at}
	p.env.Proto = n
}

// iface takes -i and -o; the name is checked here.
func (p *specParser) iface(f found) {
	var err error
	if f.code == 'i' {
		p.c.in = f.val
		_, err = match.NewIn(f.val.text, false)
	} else {
		p.c.out = f.val
		_, err = match.NewOut(f.val.text, false)
	}
	if err != nil {
		p.fault(f.val.at, f.name, err.Error(), spaceFix(f.val.text)).
			as(saidUsage("interface name `%s' must be shorter than IFNAMSIZ (15)", f.val.text))
	}
}

// spaceFix says what is wrong with "-ptcp" and "--protocol=tcp".
func spaceFix(value string) string {
	if strings.HasPrefix(value, "-") {
		return "put a space between the option and its value"
	}
	return ""
}

// targetName is xt_parse_target().
func (p *specParser) targetName(a arg) bool {
	switch {
	case a.text == "":
		p.fault(a.at, "-j", "the target name is empty", "name a target or a chain").as(saidUsage("Invalid target name (too short)"))
	case len(a.text) > nameMax:
		p.fault(a.at, a.text, "target name too long", fmt.Sprintf("at most %d characters", nameMax)).
			as(saidUsage("Invalid target name `%s' (%d chars max)", a.text, nameMax))
	case strings.ContainsAny(a.text, " \t\n\v\f\r"):
		p.fault(a.at, "-j", fmt.Sprintf("invalid target name %q", a.text), argumentFix(a.text)).
			as(saidUsage("Invalid target name `%s'", a.text))
	default:
		return true
	}
	return false
}

// counters takes "-c PACKETS BYTES" and "-c PACKETS,BYTES".
func (p *specParser) counters(f found) {
	packets, bytes := f.val.text, ""
	if len(packets) > 1 {
		if at := strings.IndexByte(packets[1:], ','); at >= 0 {
			packets, bytes = packets[:at+1], packets[at+2:]
		}
	}
	if bytes == "" {
		if a, ok := p.scan.takeFollowing(); ok {
			bytes = a.text
		}
	}
	var okP, okB bool
	p.c.counters.Packets, _, okP = scanUint(packets)
	p.c.counters.Bytes, _, okB = scanUint(bytes)
	if okP && okB {
		return
	}
	said := saidUsage("-c byte counter not numeric")
	switch {
	case bytes == "":
		said = saidUsage("-c requires packet and byte counter")
	case !okP:
		said = saidUsage("-c packet counter not numeric")
	}
	p.fault(f.val.at, f.name, "packet and byte counters must be numbers", "-c PACKETS BYTES").as(said)
}
