package iptables

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/target"
)

// loadProto loads the word of the protocol that -p names, once.
func (p *specParser) loadProto() bool {
	if p.c.protoAs.text == "" || p.protoUsed {
		return false
	}
	kind := match.ForProtocolText(p.c.protoAs.text, p.o.Family, p.o.Resolver)
	if kind == nil {
		return false
	}
	p.protoUsed = true
	p.loadMatch(kind, p.c.protoAs.at)
	return true
}

// loadMatch adds a match to the rule and its options to the table; of two of the
// same kind the later one gets the options.
func (p *specParser) loadMatch(kind *ruleset.MatchKind, at int) {
	b := kind.New()
	w := p.newWord()
	*w = word{name: kind.Name, kind: kind, options: optionsOf(kind.Options, p.o.Family), builder: b, match: b, at: at}
	p.c.words = append(p.c.words, w)
	for i, have := range p.scan.words {
		if have.kind == kind {
			p.scan.words[i] = w
			return
		}
	}
	p.scan.words = append(p.scan.words, w)
}

// newWord gives a word that no longer belongs to a line.
func (p *specParser) newWord() *word {
	if p.used == len(p.pool) {
		p.pool = append(p.pool, &word{})
	}
	p.used++
	return p.pool[p.used-1]
}

// optionsOf leaves out the options that the family lacks.
func optionsOf(all []ruleset.Option, family packet.Family) []ruleset.Option {
	for i := range all {
		if all[i].Families == 0 || all[i].Families.Has(family) {
			continue
		}
		var some []ruleset.Option
		for _, o := range all {
			if o.Families == 0 || o.Families.Has(family) {
				some = append(some, o)
			}
		}
		return some
	}
	return all
}

// wordOption hands an option to its match or target.
func (p *specParser) wordOption(f found, invert bool) {
	args := p.value[:0]
	at := f.at
	if f.hasVal {
		args, at = append(args, f.val.text), f.val.at
	}
	switch f.option.NArgs {
	case 2:
		second, ok := p.scan.takeFollowing()
		if !ok {
			p.fatal(f.at, f.name, "needs two arguments", "").as(saidUsage("--%s requires two args%s", f.option.Name, dot(f.word.name)))
			return
		}
		args = append(args, second.text)
	case ruleset.OptionalArg:
		if v, ok := p.scan.takeFollowing(); ok && !f.hasVal {
			args, at = append(args, v.text), v.at
		}
	}
	if invert && !f.option.Negate && slices.Contains(f.word.used, f.option) {
		p.fault(f.at, f.word.name, fmt.Sprintf("option \"--%s\" is given twice", f.option.Name), "one a rule").
			as(saidUsage("%s: option \"--%s\" can only be used once.\n", f.word.name, f.option.Name))
		f.word.failed = true
		return
	}
	f.word.used = append(f.word.used, f.option)
	if invert && !f.option.Negate {
		p.fault(f.at, f.word.name, fmt.Sprintf("option %q cannot be inverted", "--"+f.option.Name), "remove the !").
			as(saidUsage("%s: option \"--%s\" cannot be inverted.\n", f.word.name, f.option.Name))
		f.word.failed = true
		return
	}
	if len(args) == 0 {
		args = nil
	}
	p.rec.add(p, f, invert)
	if err := f.word.builder.Set(&p.env, f.option.Name, invert, args); err != nil {
		p.fault(at, f.word.name, err.Error(), "").as(saidOf(f.word.name, f.option.Name, err))
		f.word.failed = true
	}
}

// loadTarget adds the options of what -j names, unless it is a chain.
func (p *specParser) loadTarget(name arg) {
	if p.announced[name.text] && !standardTarget(name.text) {
		return
	}
	kind := target.Find(name.text, p.o.Family)
	if kind == nil {
		return
	}
	b := p.verdicts[kind]
	if b == nil {
		b = kind.New()
	}
	if standardTarget(kind.Name) {
		p.verdicts[kind] = b // it has no state
	}
	w := p.newWord()
	*w = word{name: kind.Name, kind: kind, options: optionsOf(kind.Options, p.o.Family), builder: b, target: b, at: name.at}
	p.c.target = w
	if len(w.options) > 0 {
		p.scan.words = append(p.scan.words, w)
	}
}

// dot ends what is said of an option without its second argument, by most words.
func dot(word string) string {
	if word == "sctp" {
		return ""
	}
	return "."
}

func standardTarget(name string) bool {
	return name == "ACCEPT" || name == "DROP" || name == "QUEUE" || name == "RETURN"
}

func (p *specParser) done(w *word) {
	if w.failed {
		return
	}
	if err := w.builder.Done(&p.env); err != nil {
		p.fault(w.at, w.name, tables.Word(err, p.table), "").as(saidOf(w.name, "", err))
	}
}
