package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// flags is what words have in common whose options are flags without arguments.
type flags struct {
	word  string
	print []string // the options in the order in which they are printed
	given
}

// Set takes one option.
func (m *flags) Set(_ *ruleset.Env, option string, _ bool, _ []string) error { return m.once(option) }

// Done is called after the last option; none is required.
func (m *flags) Done(*ruleset.Env) error { return nil }

// Word is the name of the word.
func (m *flags) Word() string { return m.word }

// Args prints the options that are set.
func (m *flags) Args() []string {
	args := []string{"-m", m.word}
	for _, option := range m.print {
		if m.given[option] {
			args = append(args, "--"+option)
		}
	}
	return args
}

// Eval is no: what routes and sockets there are is not in the facts.
func (m *flags) Eval(*packet.Facts) pred.Answer { return pred.No }
