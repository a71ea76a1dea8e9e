package iptables

import (
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
)

// recipe is how a line that appends a rule was read. Long texts have few kinds of lines:
// one that differs from an earlier line only in its chain, its addresses and the values
// of options of words is read by doing the same again with the other values. Wherever
// that meets a fault, the line is read as if there were no recipe.
type recipe struct {
	args   []string // the arguments of the line
	free   []bool   // those that may differ
	cmd    command  // without its words
	places [8]int   // of the arguments in command.args; -1: not given
	at     int      // of the command
	jumps  bool     // to a chain, which may be another one in the next line
	words  []recipeWord
	target *recipeWord
	sets   []recipeSet
}

// recipeWord is a match or target of the line; at is its argument.
type recipeWord struct {
	word
	at int
}

// recipeSet is a call of Builder.Set.
type recipeSet struct {
	on     *word // while the line is read
	word   int   // in recipe.words; -1: the target
	option string
	invert bool
	proto  uint8 // of -p so far
	value  int   // its argument; -1: none
	at     int   // of the value, while the line is read
}

// recipesKept is how many recipes are kept for lines with as many arguments.
const recipesKept = 8

// recording collects what a recipe needs while a line is read.
type recording struct {
	sets []recipeSet
	no   bool // the line has something that a recipe cannot do again
}

// add records a call of Set.
func (r *recording) add(p *specParser, f found, invert bool) {
	s := recipeSet{on: f.word, option: f.option.Name, invert: invert, proto: p.env.Proto, at: -1}
	switch f.option.NArgs {
	case 0:
	case 1:
		s.at = f.val.at
	default:
		r.no = true
	}
	r.sets = append(r.sets, s)
}

// args are the arguments that a command keeps.
func (c *command) args() [8]*arg {
	return [8]*arg{&c.chain, &c.source, &c.dest, &c.jump, &c.in, &c.out, &c.protoAs, &c.newName}
}

// The first of command.args may differ from line to line; so may the one after them if
// it names a chain.
const (
	freeArgs = 3
	jumpArg  = freeArgs
)

// jumps says whether a command jumps to a chain that was announced: no target of that
// name is loaded.
func (p *specParser) jumps(c *command) bool {
	return c.target == nil && p.announced[c.jump.text] && !standardTarget(c.jump.text)
}

// forget drops all recipes: the same arguments may now mean something else.
func (p *specParser) forget() { clear(p.recipes) }

// keep makes a recipe of the line that was just read without a fault.
func (p *specParser) keep(args []arg) {
	c := p.c
	if !p.restore || p.rec.no || len(p.faults) > 0 || c.ignored || c.bits != cmdAppend || c.options&optCounters != 0 {
		return
	}
	r := &recipe{args: make([]string, len(args)), free: make([]bool, len(args)), cmd: *c}
	r.cmd.words, r.cmd.target = nil, nil
	place := func(at int) int { return slices.IndexFunc(args, func(a arg) bool { return a.at == at }) }
	r.at = place(c.at)
	// In "-s192.0.2.1" the value is no argument of its own.
	whole := r.at >= 0 && c.chain.at != c.at &&
		(c.options&optSource == 0 || c.source.at != c.optionAt[bits.TrailingZeros(optSource)]) &&
		(c.options&optDestination == 0 || c.dest.at != c.optionAt[bits.TrailingZeros(optDestination)])
	for i, a := range args {
		r.args[i] = a.text
	}
	r.jumps = p.jumps(c) && c.optionAt[bits.TrailingZeros(optJump)] != c.jump.at
	for i, a := range c.args() {
		r.places[i] = -1
		if a.text == "" && a.at == 0 {
			continue
		}
		if r.places[i] = place(a.at); r.places[i] < 0 {
			return // a part of an argument, as in "-ptcp"
		}
		r.free[r.places[i]] = i < freeArgs || i == jumpArg && r.jumps
	}
	for _, w := range c.words {
		r.words = append(r.words, recipeWord{*w, place(w.at)})
		whole = whole && place(w.at) >= 0
	}
	if c.target != nil {
		r.target = &recipeWord{*c.target, place(c.target.at)}
		whole = whole && r.target.at >= 0
	}
	for _, s := range p.rec.sets {
		s.word, s.value = slices.Index(c.words, s.on), -1
		if s.at >= 0 {
			if s.value = place(s.at); s.value < 0 {
				return
			}
			r.free[s.value] = true
		}
		if s.word < 0 && s.on != c.target {
			return
		}
		s.on = nil
		r.sets = append(r.sets, s)
	}
	if !whole {
		return
	}
	if p.recipes == nil {
		p.recipes = map[int][]*recipe{}
	}
	list := p.recipes[len(args)]
	if len(list) == recipesKept {
		list = list[:recipesKept-1]
	}
	p.recipes[len(args)] = slices.Insert(list, 0, r)
}

// replay reads a line by a recipe; false: there is none, or the line has a fault.
func (p *specParser) replay(args []arg) bool {
	if p.afresh {
		return false
	}
	list := p.recipes[len(args)]
	for i, r := range list {
		if !r.fits(args) {
			continue
		}
		if i > 0 { // lines like this one will come again
			copy(list[1:], list[:i])
			list[0] = r
		}
		return p.follow(r, args)
	}
	return false
}

func (r *recipe) fits(args []arg) bool {
	for i, a := range args {
		if !r.free[i] && a.text != r.args[i] {
			return false
		}
	}
	return true
}

// follow does what a recipe says.
func (p *specParser) follow(r *recipe, args []arg) bool {
	c := p.c
	words := c.words[:0]
	*c = r.cmd
	c.words = words
	c.at = args[r.at].at
	for i, a := range c.args() {
		if at := r.places[i]; at >= 0 {
			a.at = args[at].at
			if i < freeArgs || i == jumpArg && r.jumps {
				a.text = args[at].text
			}
		}
	}
	if len(c.chain.text) > nameMax || c.misplaced() != nil || r.jumps && !p.jumps(c) {
		return false
	}
	for i := range r.words {
		c.words = append(c.words, p.anew(&r.words[i], args))
	}
	if r.target != nil {
		c.target = p.anew(r.target, args)
	}
	return p.setAll(r, args)
}

// anew is a word of a recipe for another line.
func (p *specParser) anew(from *recipeWord, args []arg) *word {
	w := p.newWord()
	*w = from.word
	w.at = args[from.at].at
	switch kind := w.kind.(type) {
	case *ruleset.MatchKind:
		b := kind.New()
		w.builder, w.match = b, b
	case *ruleset.TargetKind:
		if !standardTarget(kind.Name) {
			b := kind.New()
			w.builder, w.target = b, b
		}
	}
	return w
}

// setAll hands the values to the words.
func (p *specParser) setAll(r *recipe, args []arg) bool {
	for i := range r.sets {
		s := &r.sets[i]
		w := p.c.target
		if s.word >= 0 {
			w = p.c.words[s.word]
		}
		var value []string
		if s.value >= 0 {
			p.value[0] = args[s.value].text
			value = p.value[:1]
		}
		p.env.Proto = s.proto
		if w.builder.Set(&p.env, s.option, s.invert, value) != nil {
			return false
		}
	}
	p.env.Proto = p.c.proto
	for _, w := range p.c.words {
		if w.builder.Done(&p.env) != nil {
			return false
		}
	}
	return p.c.target == nil || p.c.target.builder.Done(&p.env) == nil
}
