package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// commentKind is -m comment (net/netfilter/xt_comment.c).
var commentKind = &ruleset.MatchKind{
	Name:     "comment",
	Families: ruleset.Both,
	Doc:      "a remark about the rule; it is yes for every packet",
	Options:  []ruleset.Option{{Name: "comment", NArgs: 1, Help: "the remark, at most 255 bytes: what is longer is cut"}},
	New:      func() ruleset.MatchBuilder { return &comment{} },
}

// comment is -m comment.
type comment struct {
	given
	text string
}

// Set takes one option.
func (m *comment) Set(_ *ruleset.Env, option string, _ bool, args []string) error {
	m.text = cut(args[0], 255)
	return m.once(option)
}

// cut shortens a string to what the kernel's structure holds, as xtopt_parse_string()
// does without a word.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// Done is called after the last option.
func (m *comment) Done(*ruleset.Env) error { return m.need("comment") }

// Match gives the match itself.
func (m *comment) Match() ruleset.Match { return m }

// Word is "comment".
func (m *comment) Word() string { return "comment" }

// Args has the text without quotes.
func (m *comment) Args() []string { return []string{"-m", "comment", "--comment", m.text} }

// Text prints as comment_save() of libxt_comment.c.
func (m *comment) Text() string { return string(m.AppendText(nil)) }

// AppendText appends Text to b.
func (m *comment) AppendText(b []byte) []byte {
	return append(append(b, "-m comment --comment "...), ruleset.Quoted(m.text)...)
}

// Check refuses nothing.
func (m *comment) Check(*ruleset.Place) error { return nil }

// Eval is comment_mt().
func (m *comment) Eval(*packet.Facts) pred.Answer { return pred.Yes }

// Lower gives the same in predicates.
func (m *comment) Lower(*ruleset.Place) pred.Pred { return pred.Const(pred.Yes) }

// IsRemark says yes.
func (m *comment) IsRemark() bool { return true }
