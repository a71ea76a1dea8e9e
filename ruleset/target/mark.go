package target

import (
	"cmp"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var markKind = &ruleset.TargetKind{
	Name:     "MARK",
	Families: ruleset.Both,
	Doc:      "change the mark of the packet",
	Options: []ruleset.Option{
		{Name: "set-xmark", NArgs: 1, Help: "VALUE[/MASK]: clear the bits of MASK, then XOR VALUE in"},
		{Name: "set-mark", NArgs: 1, Help: "VALUE[/MASK]: clear the bits of MASK, then OR VALUE in"},
		{Name: "and-mark", NArgs: 1, Help: "BITS: AND the mark with BITS"},
		{Name: "or-mark", NArgs: 1, Help: "BITS: OR the mark with BITS"},
		{Name: "xor-mark", NArgs: 1, Help: "BITS: XOR the mark with BITS"},
	},
	New: func() ruleset.TargetBuilder { return &Mark{} },
}

// Mark is -j MARK: mark = (mark & ^Mask) ^ Value.
type Mark struct {
	used
	Value, Mask uint32
}

// Set takes one option.
func (m *Mark) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option, negate); err != nil {
		return err
	}
	var err error
	m.Value, m.Mask, err = markChange(option, args[0])
	return err
}

// markChange reads an operation on a mark as the bits to clear and then to flip.
func markChange(option, arg string) (value, mask uint32, err error) {
	switch option {
	case "set-xmark":
		return markMask(arg)
	case "set-mark":
		value, mask, err = markMask(arg)
		return value, value | mask, err
	}
	n, err := number(arg, 0, maxUint32)
	bits := uint32(n)
	switch option {
	case "and-mark":
		return 0, ^bits, err
	case "or-mark":
		return bits, bits, err
	}
	return bits, 0, err
}

var markOps = []string{"set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"}

// Done asks for one operation.
func (m *Mark) Done(*ruleset.Env) error {
	return cmp.Or(ruleset.InWordsOf(m.need(markOps...), "One of the --set-xmark, --{and,or,xor,set}-mark options is required"), m.exclusive(markOps...))
}

// Target gives the target that was built.
func (m *Mark) Target() ruleset.Target { return m }

// Word is the name after -j.
func (m *Mark) Word() string { return "MARK" }

// Args is the text after -j.
func (m *Mark) Args() []string {
	return []string{"MARK", "--set-xmark", hex32(m.Value) + "/" + hex32(m.Mask)}
}

// List is the text of iptables -L.
func (m *Mark) List(ruleset.Names) string { return "MARK " + markList(m.Value, m.Mask) }

// markList says the change of a mark as -L does.
func markList(value, mask uint32) string {
	switch {
	case value == 0:
		return "and " + hex32(^mask)
	case value == mask:
		return "or " + hex32(value)
	case mask == 0:
		return "xor " + hex32(value)
	case mask == maxUint32:
		return "set " + hex32(value)
	}
	return fmt.Sprintf("xset 0x%x/0x%x", value, mask)
}

// Check accepts every place (net/netfilter/xt_mark.c has no checkentry).
func (m *Mark) Check(*ruleset.Place) error { return nil }

// Lower gives the change (mark_tg(), net/netfilter/xt_mark.c).
func (m *Mark) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SetMark{Dst: pred.FieldMark, Src: pred.FieldMark, Keep: ^m.Mask, Xor: m.Value})
}

// markOf is nil where MARK has no words for a change.
func markOf(e pred.SetMark) *Mark {
	m := &Mark{Value: e.Xor, Mask: ^e.Keep}
	if m.Lower(nil).Effect != pred.Effect(e) {
		return nil
	}
	return m
}
