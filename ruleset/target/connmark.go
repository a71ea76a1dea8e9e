package target

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var connmarkKind = &ruleset.TargetKind{
	Name:     "CONNMARK",
	Families: ruleset.Both,
	Doc:      "change the mark of the connection, or copy it to or from the mark of the packet",
	Options: []ruleset.Option{
		{Name: "set-xmark", NArgs: 1, Help: "VALUE[/MASK]: clear the bits of MASK, then XOR VALUE in"},
		{Name: "set-mark", NArgs: 1, Help: "VALUE[/MASK]: clear the bits of MASK, then OR VALUE in"},
		{Name: "and-mark", NArgs: 1, Help: "BITS: AND the mark with BITS"},
		{Name: "or-mark", NArgs: 1, Help: "BITS: OR the mark with BITS"},
		{Name: "xor-mark", NArgs: 1, Help: "BITS: XOR the mark with BITS"},
		{Name: "save-mark", Help: "copy the mark of the packet to the connection"},
		{Name: "restore-mark", Help: "copy the mark of the connection to the packet"},
		{Name: "left-shift-mark", NArgs: 1, Help: "shift the mark left by this many bits, 0 to 31"},
		{Name: "right-shift-mark", NArgs: 1, Help: "shift the mark right by this many bits, 0 to 31"},
		{Name: "ctmask", NArgs: 1, Help: "bits of the mark of the connection to copy"},
		{Name: "nfmask", NArgs: 1, Help: "bits of the mark of the packet to copy"},
		{Name: "mask", NArgs: 1, Help: "both masks"},
	},
	New: func() ruleset.TargetBuilder { return &Connmark{CtMask: maxUint32, NfMask: maxUint32} },
}

// ConnmarkMode is what CONNMARK does.
type ConnmarkMode uint8

// The modes of CONNMARK (include/uapi/linux/netfilter/xt_connmark.h).
const (
	ConnmarkSet ConnmarkMode = iota
	ConnmarkSave
	ConnmarkRestore
)

// Connmark is -j CONNMARK.
type Connmark struct {
	used
	Mode                  ConnmarkMode
	Value, CtMask, NfMask uint32
	ShiftRight            bool
	Shift                 uint8
}

// Set takes one option. A later option overwrites what an earlier one stored, as
// connmark_tg_parse_v2() of iptables does.
func (c *Connmark) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := c.once(option, negate); err != nil {
		return err
	}
	var err error
	switch option {
	case "save-mark":
		c.Mode = ConnmarkSave
	case "restore-mark":
		c.Mode = ConnmarkRestore
	case "left-shift-mark", "right-shift-mark":
		var n uint64
		n, err = number(args[0], 0, 32)
		c.Shift, c.ShiftRight = uint8(n), option == "right-shift-mark"
	case "ctmask", "nfmask", "mask":
		err = c.setMask(option, args[0])
	default:
		c.Mode = ConnmarkSet
		c.Value, c.CtMask, err = markChange(option, args[0])
	}
	return err
}

func (c *Connmark) setMask(option, arg string) error {
	n, err := number(arg, 0, maxUint32)
	if option != "nfmask" {
		c.CtMask = uint32(n)
	}
	if option != "ctmask" {
		c.NfMask = uint32(n)
	}
	return err
}

// Done asks for one operation.
func (c *Connmark) Done(*ruleset.Env) error {
	for _, m := range []string{"ctmask", "nfmask"} {
		if err := c.exclusive("mask", m); err != nil {
			return err
		}
	}
	ops := append([]string{"save-mark", "restore-mark"}, markOps...)
	return cmp.Or(ruleset.InWords(c.need(ops...), "CONNMARK target: No operation specified"), c.exclusive(ops...))
}

// Target gives the target that was built.
func (c *Connmark) Target() ruleset.Target { return c }

// Word is the name after -j.
func (c *Connmark) Word() string { return "CONNMARK" }

// Args is the text after -j.
func (c *Connmark) Args() []string {
	a := []string{"CONNMARK"}
	switch c.Mode {
	case ConnmarkSet:
		a = append(a, "--set-xmark", hex32(c.Value)+"/"+hex32(c.CtMask))
	case ConnmarkSave:
		a = append(a, "--save-mark", "--nfmask", hex32(c.NfMask), "--ctmask", hex32(c.CtMask))
	case ConnmarkRestore:
		a = append(a, "--restore-mark", "--nfmask", hex32(c.NfMask), "--ctmask", hex32(c.CtMask))
	}
	if c.Shift != 0 {
		a = append(a, "--"+c.shiftOption(), decimal(c.Shift))
	}
	return a
}

// ExactArgs has a mask for packets that a new mark does not use.
func (c *Connmark) ExactArgs() []string {
	if c.Mode != ConnmarkSet || c.NfMask == maxUint32 {
		return nil
	}
	return append(c.Args(), "--nfmask", hex32(c.NfMask))
}

func (c *Connmark) shiftOption() string {
	if c.ShiftRight {
		return "right-shift-mark"
	}
	return "left-shift-mark"
}

// List is the text of iptables -L.
func (c *Connmark) List(ruleset.Names) string {
	s := "CONNMARK " + c.listMode()
	if c.Shift != 0 {
		s += fmt.Sprintf(" %s %d", c.shiftOption(), c.Shift)
	}
	return s
}

func (c *Connmark) listMode() string {
	var s strings.Builder
	first, second, name1, name2 := c.NfMask, c.CtMask, "nfmask", "ctmask"
	switch c.Mode {
	case ConnmarkSet:
		return markList(c.Value, c.CtMask)
	case ConnmarkSave:
		s.WriteString("save")
	case ConnmarkRestore:
		s.WriteString("restore")
		first, second, name1, name2 = second, first, name2, name1
	}
	if first != second {
		fmt.Fprintf(&s, " %s 0x%x %s ~0x%x", name1, first, name2, second)
	} else if first != maxUint32 {
		fmt.Fprintf(&s, " mask 0x%x", first)
	}
	return s.String()
}

// Check refuses a shift by the whole width (connmark_tg_check_v2(),
// net/netfilter/xt_connmark.c).
func (c *Connmark) Check(*ruleset.Place) error {
	if c.Shift >= 32 {
		return fmt.Errorf("--%s %d shifts everything out; give 0 to 31", c.shiftOption(), c.Shift)
	}
	return nil
}

// NeedsConntrack says yes (connmark_tg_check(), net/netfilter/xt_connmark.c).
func (c *Connmark) NeedsConntrack() bool { return true }

// Lower gives the change (connmark_tg_shift(), net/netfilter/xt_connmark.c): --set shifts the new mark as
// a whole, the copies shift what they copy.
func (c *Connmark) Lower(*ruleset.Place) pred.Action {
	set := pred.SetMark{Dst: pred.FieldCtMark, NeedConn: true, Shift: int8(c.Shift)}
	if c.ShiftRight {
		set.Shift = -set.Shift
	}
	switch c.Mode {
	case ConnmarkSet:
		set.Src, set.And, set.Xor = pred.FieldCtMark, ^c.CtMask, c.Value
	case ConnmarkSave:
		set.Src, set.And, set.Keep = pred.FieldMark, c.NfMask, ^c.CtMask
	case ConnmarkRestore:
		set.Dst = pred.FieldMark
		set.Src, set.And, set.Keep = pred.FieldCtMark, c.CtMask, ^c.NfMask
	}
	return pred.Doing(set)
}

// connmarkOf is nil where CONNMARK has no words for a change.
func connmarkOf(e pred.SetMark) *Connmark {
	c := &Connmark{CtMask: maxUint32, NfMask: maxUint32, Shift: uint8(max(e.Shift, -e.Shift)), ShiftRight: e.Shift < 0}
	switch [2]pred.Field{e.Dst, e.Src} {
	case [2]pred.Field{pred.FieldCtMark, pred.FieldCtMark}:
		c.Mode, c.Value, c.CtMask = ConnmarkSet, e.Xor, ^e.And
	case [2]pred.Field{pred.FieldCtMark, pred.FieldMark}:
		c.Mode, c.NfMask, c.CtMask = ConnmarkSave, e.And, ^e.Keep
	case [2]pred.Field{pred.FieldMark, pred.FieldCtMark}:
		c.Mode, c.CtMask, c.NfMask = ConnmarkRestore, e.And, ^e.Keep
	}
	if c.Lower(nil).Effect != pred.Effect(e) {
		return nil
	}
	return c
}
