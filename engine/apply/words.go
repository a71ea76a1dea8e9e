package apply

import (
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/parallel"
)

const (
	// printBlock is how many rules are printed at a time on one processor.
	printBlock = 256
	// printBlocks is how many blocks are printed before they are stored: their text takes
	// little room.
	printBlocks = 16
)

// printer prints rules for the state on all processors, block by block.
type printer struct {
	// words appends the text of a rule, and gives what the text does not say.
	words func(spec []byte, r *ruleset.Rule) (text, exact []byte)
	// record is what the state has of a rule, and whether the words are known to say it.
	record func(r *ruleset.Rule, spec, exact []byte) (state.Rule, bool)
	rules  []printed
	texts  [printBlocks][]byte
}

type printed struct {
	state.Hashed
	known bool
}

// each calls do with all rules in their order; what it gets is valid until the next call.
func (p *printer) each(rules []*ruleset.Rule, do func(r *ruleset.Rule, out *printed) error) error {
	for len(rules) > 0 {
		some := rules[:min(len(rules), printBlock*printBlocks)]
		rules = rules[len(some):]
		p.print(some)
		for i, r := range some {
			if err := do(r, &p.rules[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *printer) print(rules []*ruleset.Rule) {
	if cap(p.rules) < len(rules) {
		p.rules = make([]printed, len(rules))
	}
	p.rules = p.rules[:len(rules)]
	parallel.Each((len(rules)+printBlock-1)/printBlock, func(block int) {
		text := p.texts[block][:0]
		from := block * printBlock
		for i, r := range rules[from:min(from+printBlock, len(rules))] {
			at := len(text)
			// Its own place: what is appended later may move the text.
			all, exact := p.words(text[at:], r)
			text = append(text[:at], all...)
			out, known := p.record(r, text[at:len(text):len(text)], exact)
			p.rules[from+i] = printed{state.Hash(out), known}
		}
		p.texts[block] = text
	})
}
