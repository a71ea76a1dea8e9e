package match

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// stringKind is -m string, revision 1 (net/netfilter/xt_string.c).
var stringKind = &ruleset.MatchKind{
	Name:     "string",
	Families: ruleset.Both,
	Doc:      "bytes that occur anywhere in the packet",
	Options: []ruleset.Option{
		{Name: "from", NArgs: 1, Help: "offset from which on to search"},
		{Name: "to", NArgs: 1, Help: "offset up to which to search"},
		{Name: "algo", NArgs: 1, Help: "how to search: bm or kmp"},
		{Name: "string", NArgs: 1, Negate: true, Help: "the bytes, at most 128"},
		{Name: "hex-string", NArgs: 1, Negate: true, Help: "the bytes, with hex digits between bars: |0d 0a|"},
		{Name: "icase", Help: "upper and lower case are the same"},
	},
	New: func() ruleset.MatchBuilder { return &stringMatch{to: math.MaxUint16} },
}

// stringMax is XT_STRING_MAX_PATTERN_SIZE.
const stringMax = 128

// stringMatch is -m string.
type stringMatch struct {
	given
	pattern  []byte
	negate   bool
	algo     string
	from, to uint16
}

// Set takes one option.
func (m *stringMatch) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = m.negate || negate
	switch option {
	case "from", "to":
		v, err := number(option, args[0], 0, math.MaxUint16)
		if option == "from" {
			m.from = uint16(v)
		} else {
			m.to = uint16(v)
		}
		return err
	case "algo":
		m.algo = cut(args[0], 15)
	case "string":
		m.pattern = []byte(args[0])
	case "hex-string":
		m.pattern, err = parseHexString(args[0])
	}
	if err == nil && len(m.pattern) > stringMax {
		err = ruleset.InWords(fmt.Errorf("--%s: %d bytes given, at most %d allowed", option, len(m.pattern), stringMax), "STRING too long \"%s\"", args[0])
	}
	return err
}

// parseHexString reads text with hex bytes between bars, as parse_hex_string() of
// libxt_string.c: a backslash outside of the bars takes the next byte as it is.
func parseHexString(s string) (out []byte, err error) {
	if s == "" {
		return nil, ruleset.InWords(fmt.Errorf("--hex-string: nothing given; give at least one byte"), "STRING must contain at least one char")
	}
	inHex := false
	for i := 0; i < len(s); {
		if s[i] == '\\' && inHex {
			return nil, ruleset.InWords(fmt.Errorf("--hex-string: a backslash between bars in %q; end the hex digits with | first", s), "Cannot include literals in hex data")
		}
		literal := s[i] == '\\'
		if s[i] == '|' {
			inHex = !inHex
			for inHex && i+1 < len(s) && s[i+1] == ' ' {
				i++
			}
			if i++; i >= len(s) {
				break
			}
		}
		var n int
		if out, n, err = hexStringStep(out, s[i:], literal, inHex); err != nil {
			return nil, fmt.Errorf("--hex-string: %w in %q", err, s)
		}
		i += n
	}
	return out, nil
}

// badHex is the first of two characters that is no hex digit.
func badHex(s string) byte {
	if digit(s[0]) < 16 {
		return s[1]
	}
	return s[0]
}

// hexStringStep appends the next byte; n is the number of characters it took.
func hexStringStep(out []byte, s string, literal, inHex bool) (_ []byte, n int, err error) {
	switch {
	case literal && len(s) < 2:
		return nil, 0, ruleset.InWords(fmt.Errorf("nothing after the last backslash"), "Bad literal placement at end of string")
	case literal:
		return append(out, s[1]), 2, nil
	case !inHex:
		return append(out, s[0]), 1, nil
	case len(s) == 2:
		return nil, 0, ruleset.InWords(fmt.Errorf("the hex digits do not end with a pair and |"), "Invalid hex block")
	case len(s) < 2:
		return nil, 0, ruleset.InWords(fmt.Errorf("the hex digits do not end with a pair and |"), "Odd number of hex digits")
	}
	b, err := hex.DecodeString(s[:2])
	if err != nil {
		return nil, 0, ruleset.InWords(fmt.Errorf("%q is not a pair of hex digits", s[:2]), "Invalid hex char '%c'", badHex(s))
	}
	n = 2
	if s[2] == ' ' {
		n = 3
	}
	return append(out, b[0]), n, nil
}

// Done is called after the last option.
func (m *stringMatch) Done(*ruleset.Env) error {
	return cmp.Or(ruleset.InWords(m.needOneOf("string", "hex-string"), "STRING match: You must specify `--string' or `--hex-string'"), m.notBoth("string", "hex-string"), m.need("algo"))
}

// Match gives the match itself.
func (m *stringMatch) Match() ruleset.Match { return m }

// Word is "string".
func (m *stringMatch) Word() string { return "string" }

// asHex says whether the pattern is printed in hex: is_hex_string() of
// libxt_string.c.
func (m *stringMatch) asHex() bool {
	for _, c := range m.pattern {
		if c < 0x20 || c > 0x7e {
			return true
		}
	}
	return bytes.HasSuffix(m.pattern, []byte{'\\'})
}

// Args has the pattern without quotes.
func (m *stringMatch) Args() []string {
	option, pattern := "--string", string(m.pattern)
	if m.asHex() {
		option, pattern = "--hex-string", "|"+hex.EncodeToString(m.pattern)+"|"
	}
	args := append(append([]string{"-m", "string"}, bang(m.negate)...), option, pattern, "--algo", m.algo)
	if m.from != 0 {
		args = append(args, "--from", fmt.Sprint(m.from))
	}
	if m.to != math.MaxUint16 {
		args = append(args, "--to", fmt.Sprint(m.to))
	}
	if m.given["icase"] {
		args = append(args, "--icase")
	}
	return args
}

var quoteAlways = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// Text prints as string_save() of libxt_string.c: the pattern is always quoted.
func (m *stringMatch) Text() string {
	args := m.Args()
	at := 3
	if m.negate {
		at = 4
	}
	args[at] = `"` + quoteAlways.Replace(args[at]) + `"`
	return strings.Join(args, " ")
}

// Check is string_mt_check() with textsearch_prepare() of lib/textsearch.c.
func (m *stringMatch) Check(*ruleset.Place) error {
	switch {
	case m.from > m.to:
		return fmt.Errorf("--from %d lies behind --to %d; give a lower --from", m.from, m.to)
	case len(m.pattern) == 0:
		return fmt.Errorf("nothing to search for; give at least one byte")
	case m.algo == "fsm":
		return fmt.Errorf("--algo: fsm needs a compiled pattern that cannot be written as text; use bm or kmp")
	case m.algo != "bm" && m.algo != "kmp":
		return fmt.Errorf("--algo: the kernel has no search %q; use bm or kmp", m.algo)
	}
	return nil
}

// Eval is string_mt(): skb_find_text() says whether the first place where the
// pattern occurs lies whole between --from and --to (since Linux 6.5; before, it
// had to begin there).
func (m *stringMatch) Eval(f *packet.Facts) pred.Answer {
	raw, pattern := f.Raw, m.pattern
	if m.given["icase"] {
		raw, pattern = upperCase(raw), upperCase(pattern)
	}
	found := false
	if int(m.from) <= len(raw) {
		at := bytes.Index(raw[m.from:], pattern)
		found = at >= 0 && int(m.from)+at+len(pattern) <= int(m.to)
	}
	return answer(found, m.negate)
}

// upperCase is bytes with the letters that --icase takes for others.
func upperCase(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = pred.UpperCase(c)
	}
	return out
}

// Lower gives the same in predicates.
func (m *stringMatch) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Search{
		Text: string(m.pattern), From: m.from, To: m.to, Fold: m.given["icase"], Apart: m.algo == "bm",
	}, m.negate)
}
