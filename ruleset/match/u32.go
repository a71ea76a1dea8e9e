package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// u32Kind is -m u32.
var u32Kind = &ruleset.MatchKind{
	Name:     "u32",
	Families: ruleset.Both,
	Doc:      "numbers taken from the bytes of the packet",
	Options:  []ruleset.Option{{Name: "u32", NArgs: 1, Negate: true, Help: "tests location=values joined by &&, such as \"6&0xFF=1\""}},
	New:      func() ruleset.MatchBuilder { return &u32{} },
}

// u32Max is XT_U32_MAXSIZE: so many tests, numbers of a location, ranges of a test.
const u32Max = 10

// u32 is -m u32.
type u32 struct {
	given
	tests  []pred.U32Test
	negate bool
}

// Set takes one option.
func (m *u32) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	m.negate = negate
	p := u32Parser{text: args[0]}
	err := p.run()
	m.tests = p.tests
	return err
}

// u32Parser reads the language of --u32 as u32_parse() of libxt_u32.c does.
type u32Parser struct {
	text  string
	at    int
	tests []pred.U32Test
}

// fault is what is wrong where the parser stands; said is what iptables says of it.
func (p *u32Parser) fault(said, format string, args ...any) error {
	err := fmt.Errorf("--u32: at character %d: %s", p.at, fmt.Sprintf(format, args...))
	if p.at == len(p.text) && strings.HasPrefix(said, "u32: ") {
		return ruleset.InWords(err, "%s", said)
	}
	return ruleset.InWords(err, "u32: at char %d: %s", p.at, strings.TrimPrefix(said, "u32: "))
}

func (p *u32Parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\n\v\f\r", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *u32Parser) skip(token string) bool {
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *u32Parser) number() (uint32, error) {
	v, rest, ok := strtou(p.text[p.at:])
	if !ok || v > 0xffffffff {
		return 0, p.fault("not a number or out of range", "not a number, or above 32 bits")
	}
	p.at = len(p.text) - len(rest)
	return uint32(v), nil
}

func (p *u32Parser) run() error {
	for {
		var t pred.U32Test
		if err := p.location(&t); err != nil {
			return err
		}
		more, err := p.ranges(&t)
		if err != nil {
			return err
		}
		if p.tests = append(p.tests, t); len(p.tests) > u32Max {
			return p.fault("too many \"&&\"s", "more than %d tests; split the rule", u32Max)
		}
		if !more {
			return nil
		}
	}
}

// location reads up to and with "=".
func (p *u32Parser) location(t *pred.U32Test) (err error) {
	for n := 0; ; n++ {
		p.space()
		var op byte
		switch {
		case p.at == len(p.text):
			return p.fault("u32: abrupt end of input after location specifier", "the text ends in a location; add = and values")
		case n == 0 && p.text[p.at] == '=':
			return p.fault("location spec missing", "the location is missing before =")
		case n == 0:
		case p.skip("="):
			return nil
		case p.skip("&"):
			op = '&'
		case p.skip("<<"):
			op = '<'
		case p.skip(">>"):
			op = '>'
		case p.skip("@"):
			op = '@'
		case p.skip("<"):
			return p.fault("a second '<' was expected", "a second < was expected")
		case p.skip(">"):
			return p.fault("a second '>' was expected", "a second > was expected")
		default:
			return p.fault("operator expected", "an operator was expected; give &, <<, >>, @ or =")
		}
		v, err := p.number()
		if err != nil {
			return err
		}
		if n == 0 {
			t.Start = v
		} else {
			t.Ops = append(t.Ops, pred.U32Op{Op: op, Arg: v})
		}
		if n == u32Max {
			return p.fault("too many operators", "more than %d numbers in a location", u32Max)
		}
	}
}

// ranges reads values up to the end or with "&&".
func (p *u32Parser) ranges(t *pred.U32Test) (more bool, err error) {
	for {
		p.space()
		switch {
		case p.at == len(p.text) && t.Ranges == nil:
			return false, p.fault("u32: test ended with no value specified", "the text ends without a value")
		case p.at == len(p.text):
			return false, nil
		case p.skip("&"):
			if p.at == len(p.text) || p.text[p.at] != '&' {
				return false, p.fault("a second '&' was expected", "a second & was expected")
			}
			if t.Ranges == nil {
				return false, p.fault("value spec missing", "a value is missing before &&")
			}
			p.at++
			return true, nil
		case t.Ranges != nil && !p.skip(","):
			return false, p.fault("expected \",\" or \"&&\"", "\",\" or \"&&\" was expected")
		}
		var r [2]uint32
		if r[0], err = p.number(); err != nil {
			return false, err
		}
		r[1] = r[0]
		if p.space(); p.skip(":") {
			if r[1], err = p.number(); err != nil {
				return false, err
			}
		}
		if t.Ranges = append(t.Ranges, r); len(t.Ranges) > u32Max {
			return false, p.fault("too many \",\"s", "more than %d values in a test", u32Max)
		}
	}
}

// Done wants --u32.
func (m *u32) Done(*ruleset.Env) error { return m.need("u32") }

// Match gives the match itself.
func (m *u32) Match() ruleset.Match { return m }

// Word is "u32".
func (m *u32) Word() string { return "u32" }

// Args prints as u32_save() of libxt_u32.c, without the quotes.
func (m *u32) Args() []string {
	return append(append([]string{"-m", "u32"}, bang(m.negate)...), "--u32", m.expression())
}

// Text has the expression in quotes always.
func (m *u32) Text() string {
	args := m.Args()
	return strings.Join(args[:len(args)-1], " ") + ` "` + m.expression() + `"`
}

func (m *u32) expression() string {
	var s strings.Builder
	for i, t := range m.tests {
		if i > 0 {
			s.WriteString("&&")
		}
		fmt.Fprintf(&s, "0x%x", t.Start)
		for _, op := range t.Ops {
			name := string(op.Op)
			if op.Op == '<' || op.Op == '>' {
				name += name
			}
			fmt.Fprintf(&s, "%s0x%x", name, op.Arg)
		}
		for j, r := range t.Ranges {
			s.WriteString([]string{"=", ","}[min(j, 1)])
			fmt.Fprintf(&s, "0x%x", r[0])
			if r[0] != r[1] {
				fmt.Fprintf(&s, ":0x%x", r[1])
			}
		}
	}
	return s.String()
}

// Check refuses shifts by 32 and more, as u32_mt_checkentry() does since Linux 6.6.
func (m *u32) Check(*ruleset.Place) error {
	for _, t := range m.tests {
		for _, op := range t.Ops {
			if (op.Op == '<' || op.Op == '>') && op.Arg >= 32 {
				return fmt.Errorf("--u32: a shift by %d bits; shift by 31 at most", op.Arg)
			}
		}
	}
	return nil
}

// Eval is u32_mt() of net/netfilter/xt_u32.c.
func (m *u32) Eval(f *packet.Facts) pred.Answer { return pred.Eval(m.Lower(nil), f) }

// Lower gives one U32.
func (m *u32) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.U32{Tests: m.tests}, m.negate)
}
