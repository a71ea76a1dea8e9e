package face

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// forms are the command lines of iptables.
var forms = [...]string{
	"-[ACD] chain rule-specification [options]", "-I chain [rulenum] rule-specification [options]",
	"-R chain rulenum rule-specification [options]", "-D chain rulenum [options]", "-[LS] [chain [rulenum]] [options]",
	"-[FZ] [chain] [options]", "-[NX] chain", "-E old-chain-name new-chain-name", "-P chain target [options]",
	"-h (print this help information)",
}

// helpLine is an option with what it does; "!" as its first byte says that it may be negated.
type helpLine struct{ option, text string }

var helpCommands = [...]helpLine{
	{"--append  -A chain", "put a rule behind all others of the chain"},
	{"--check   -C chain", "say whether the chain has the rule"},
	{"--delete  -D chain", "take the rule away, or the one of a number"},
	{"--insert  -I chain [rulenum]", "put a rule before that number; without one, before all"},
	{"--replace -R chain rulenum", "put a rule in the place of that number"},
	{"--list    -L [chain [rulenum]]", "show rules in columns"},
	{"--list-rules -S [chain [rulenum]]", "show rules as commands"},
	{"--flush   -F [chain]", "take all rules away"},
	{"--zero    -Z [chain [rulenum]]", "set counters to zero"},
	{"--new     -N chain", "make a chain"},
	{"--delete-chain -X [chain]", "take an empty chain away, or all of them"},
	{"--policy  -P chain target", "say what happens at the end of a built-in chain"},
	{"--rename-chain -E old-chain new-chain", "give a chain another name, in all jumps to it, too"},
}

var helpOptions = [...]helpLine{
	{"--ipv4 -4", "for IPv4 alone: ip6tables-restore passes over the line"},
	{"--ipv6 -6", "for IPv6 alone: iptables-restore passes over the line"},
	{"!--protocol -p proto", "name or number, such as tcp"},
	{"!--source -s address[/mask][...]", "where packets come from"},
	{"!--destination -d address[/mask][...]", "where packets go"},
	{"!--in-interface -i name[+]", "through which they came; + stands for any ending"},
	{"!--out-interface -o name[+]", "through which they go"},
	{"--jump -j target", "what is done with packets"},
	{"--goto -g chain", "go on in that chain, and do not come back"},
	{"--match -m match", "use a match; its options follow"},
	{"--numeric -n", "show numbers, not names"},
	{"--table -t table", "filter if not given"},
	{"--verbose -v", "show more, and tell what is done"},
	{"--wait -w [seconds]", "wait for the lock, so long at most"},
	{"--line-numbers", "show the numbers of rules"},
	{"--exact -x", "show counters in full"},
	{"!--fragment -f", "packets that are second or later fragments"},
	{"--modprobe=<command>", "has no meaning here"},
	{"--set-counters -c PKTS BYTES", "what the rule has counted before"},
	{"--version -V", "show the version"},
}

// help is what --help prints of the commands, and of the matches and targets that stand before
// it: the options in the spelling of iptables, what they do in our own words.
func (p *process) help(argv *iptables.Argv) {
	name := p.base()
	fmt.Fprintf(p.Out, "%s\n\n", p.version())
	lead := "Usage:"
	for _, form := range forms {
		fmt.Fprintf(p.Out, "%-6s %s %s\n", lead, name, form)
		lead = ""
	}
	fmt.Fprint(p.Out, "\nCommands:\nOptions may be long or short.\n")
	p.helpLines(helpCommands[:])
	fmt.Fprint(p.Out, "\nOptions:\n")
	p.helpLines(helpOptions[:])
	for _, w := range argv.Words {
		p.helpWord(w)
	}
}

func (p *process) helpLines(lines []helpLine) {
	for _, l := range lines {
		if p.Family == packet.IPv6 && l.option == "!--fragment -f" {
			continue
		}
		not := "   "
		if l.option[0] == '!' {
			not, l.option = "[!]", l.option[1:]
		}
		fmt.Fprintf(p.Out, "%s %-34s %s\n", not, l.option, l.text)
	}
}

func (p *process) helpWord(w iptables.HelpWord) {
	kind := "match"
	if w.Target {
		kind = "target"
	}
	fmt.Fprintf(p.Out, "\n%s %s options:\n", w.Name, kind)
	for _, o := range w.Options {
		p.helpOption(o)
	}
	for _, line := range w.Lines {
		fmt.Fprintln(p.Out, line)
	}
}

// helpOption is the line of an option.
func (p *process) helpOption(o ruleset.Option) {
	text, not := "--"+o.Name, "   "
	if o.Negate {
		not = "[!]"
	}
	switch o.NArgs {
	case 1:
		text += " VALUE"
	case 2:
		text += " VALUE VALUE"
	case ruleset.OptionalArg:
		text += " [VALUE]"
	}
	fmt.Fprintf(p.Out, "%s %-34s %s\n", not, text, o.Help)
}
