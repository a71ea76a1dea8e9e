package face

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// help is what --help prints of the commands, and of the matches and targets that stand before
// it, in our own words.
func (p *process) help(argv *iptables.Argv) {
	name := p.base()
	fmt.Fprintf(p.Out, "%s\n\nUsage: %s -[ACD] chain rule-specification [options]\n", p.version(), name)
	for _, form := range []string{
		"-I chain [rulenum] rule-specification [options]", "-R chain rulenum rule-specification [options]",
		"-D chain rulenum [options]", "-[LS] [chain [rulenum]] [options]", "-[FZ] [chain] [options]", "-[NX] chain",
		"-E old-chain-name new-chain-name", "-P chain target [options]", "-h (print this help information)",
	} {
		fmt.Fprintf(p.Out, "       %s %s\n", name, form)
	}
	for _, w := range argv.Words {
		kind := "match"
		if w.Target {
			kind = "target"
		}
		fmt.Fprintf(p.Out, "\n%s %s options:\n", w.Name, kind)
		for _, o := range w.Options {
			p.helpOption(o)
		}
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
	fmt.Fprintf(p.Out, "%s %-27s %s\n", not, text, o.Help)
}
