package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// hbhKind is -m hbh.
var hbhKind = optionsKind("hbh", extHopByHop, "the IPv6 hop-by-hop options header")

// optionsKind describes hbh and dst, which differ in the header they look for.
func optionsKind(word string, header uint8, doc string) *ruleset.MatchKind {
	return &ruleset.MatchKind{
		Name:     word,
		Families: ruleset.OnlyIPv6,
		Doc:      doc,
		Options: []ruleset.Option{
			{Name: word + "-len", NArgs: 1, Negate: true, Help: "length of the header in bytes"},
			{Name: word + "-opts", NArgs: 1, Help: "its options in order, each as type[:length]"},
		},
		New: func() ruleset.MatchBuilder { return &options6{word: word, header: header} },
	}
}

const (
	optionsMax   = 16  // IP6T_OPTS_OPTSNR
	optionAnyLen = 255 // a length that is not asked
)

// options6 is -m hbh and -m dst.
type options6 struct {
	given
	word      string
	header    uint8
	length    uint32
	negateLen bool
	opts      []option6
}

// option6 is one option of an options header: a type, and a length or optionAnyLen.
type option6 struct{ kind, length uint8 }

// Set takes one option.
func (m *options6) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	if option == m.word+"-len" {
		m.negateLen = negate
		m.length, err = number32(option, args[0], 0)
		return err
	}
	return m.parseOptions(option, args[0])
}

// parseOptions reads the list as parse_options() of libip6t_hbh.c does: numbers
// are cut to 8 bits.
func (m *options6) parseOptions(option, list string) error {
	parts := strings.Split(list, ",")
	if len(parts) > optionsMax {
		return ruleset.InWords(fmt.Errorf("--%s: %d options given, at most %d allowed", option, len(parts), optionsMax), "too many addresses specified")
	}
	for i, part := range parts {
		kind, length, sized := strings.Cut(part, ":")
		o := option6{length: optionAnyLen}
		var err error
		if o.kind, err = lowByte(option, kind); err != nil {
			return err
		}
		if sized {
			if i == optionsMax-1 {
				return fmt.Errorf("--%s: option %d cannot have a length", option, optionsMax)
			}
			if o.kind == 0 {
				return fmt.Errorf("--%s: Pad1 (option 0) has no length; write 0", option)
			}
			if o.length, err = lowByte(option, length); err != nil {
				return err
			}
		}
		m.opts = append(m.opts, o)
	}
	return nil
}

// lowByte reads a number as strtoul() does and keeps its last 8 bits.
func lowByte(option, text string) (uint8, error) {
	unsigned, negative := strings.CutPrefix(strings.TrimLeft(text, " \t\n\v\f\r"), "-")
	v, rest, ok := strtou(unsigned)
	if !ok || rest != "" {
		return 0, fmt.Errorf("--%s: %q is not a number", option, text)
	}
	if negative {
		v = -v
	}
	return uint8(v), nil
}

// Done is called after the last option.
func (m *options6) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *options6) Match() ruleset.Match { return m }

// Word is "hbh" or "dst".
func (m *options6) Word() string { return m.word }

// Args prints as hbh_save() of libip6t_hbh.c and dst_save() of libip6t_dst.c.
func (m *options6) Args() []string {
	args := []string{"-m", m.word}
	if m.given[m.word+"-len"] {
		args = append(append(args, bang(m.negateLen)...), "--"+m.word+"-len", fmt.Sprint(m.length))
	}
	if m.given[m.word+"-opts"] {
		list := make([]string, len(m.opts))
		for i, o := range m.opts {
			list[i] = fmt.Sprint(o.kind)
			if o.length != optionAnyLen {
				list[i] = fmt.Sprintf("%d:%d", o.kind, o.length)
			}
		}
		args = append(args, "--"+m.word+"-opts", strings.Join(list, ","))
	}
	return args
}

// Check refuses nothing.
func (m *options6) Check(*ruleset.Place) error { return nil }

// Eval is hbh_mt6() of net/ipv6/netfilter/ip6t_hbh.c.
func (m *options6) Eval(f *packet.Facts) pred.Answer {
	oh, a := extHeader(f, m.header, 2)
	if a != pred.Yes {
		return a
	}
	if m.given[m.word+"-len"] && (m.length == uint32(len(oh))) == m.negateLen {
		return pred.No
	}
	return pred.Bool(m.beginsWith(oh[2:]))
}

// beginsWith compares the first options of the header with --hbh-opts. The last of
// them may lead out of the header, as the kernel has it.
func (m *options6) beginsWith(opts []byte) bool {
	for i, want := range m.opts {
		if len(opts) < 1 || opts[0] != want.kind {
			return false
		}
		size := 1
		if want.kind != 0 {
			if len(opts) < 2 || want.length != optionAnyLen && want.length != opts[1] {
				return false
			}
			size = int(opts[1]) + 2
		}
		if size > len(opts) {
			return i == len(m.opts)-1
		}
		opts = opts[size:]
	}
	return true
}

// Lower gives the same in predicates.
func (m *options6) Lower(*ruleset.Place) pred.Pred {
	p := lowerExt(m.header, 2)
	if m.given[m.word+"-len"] {
		p = append(p, lowerExtLen(m.length, 8, 1, m.negateLen))
	}
	if len(m.opts) > 0 {
		list := pred.Options6{Header: m.header}
		for _, o := range m.opts {
			list.Opts = append(list.Opts, pred.Option6{Kind: o.kind, Len: o.length, Any: o.length == optionAnyLen})
		}
		p = append(p, list)
	}
	return simplify(p)
}
