package target

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var classifyKind = &ruleset.TargetKind{
	Name:     "CLASSIFY",
	Families: ruleset.Both,
	Doc:      "set the queueing class of the packet",
	Options:  []ruleset.Option{{Name: "set-class", NArgs: 1, Help: "MAJOR:MINOR, both hexadecimal"}},
	New:      func() ruleset.TargetBuilder { return &Classify{} },
}

// Classify is -j CLASSIFY.
type Classify struct {
	used
	Major, Minor uint16
}

// Set takes --set-class, which is read as sscanf("%x:%x") reads it: what stands
// behind the second number is not looked at.
func (c *Classify) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := c.once(option, negate); err != nil {
		return err
	}
	major, rest, ok1 := scanHex(args[0])
	rest, colon := strings.CutPrefix(rest, ":")
	minor, _, ok2 := scanHex(rest)
	if !ok1 || !colon || !ok2 {
		return ruleset.InWords(fmt.Errorf("bad class value %q; give MAJOR:MINOR in hexadecimal digits", args[0]), "Bad class value \"%s\"", args[0])
	}
	c.Major, c.Minor = uint16(major), uint16(minor)
	return nil
}

// scanHex reads a number as %x of sscanf() does.
func scanHex(s string) (v uint64, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	minus := strings.HasPrefix(s, "-")
	if minus || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if len(s) > 1 && (s[:2] == "0x" || s[:2] == "0X") {
		s = s[2:]
	}
	rest = strings.TrimLeft(s, hexDigits)
	digits := s[:len(s)-len(rest)]
	if digits == "" {
		return 0, rest, false
	}
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return math.MaxUint64, rest, true
	}
	if minus {
		v = -v
	}
	return v, rest, true
}

// Done asks for --set-class.
func (c *Classify) Done(*ruleset.Env) error { return c.need("set-class") }

// Target gives the target that was built.
func (c *Classify) Target() ruleset.Target { return c }

// Word is the name after -j.
func (c *Classify) Word() string { return "CLASSIFY" }

// Args is the text after -j.
func (c *Classify) Args() []string {
	return []string{"CLASSIFY", "--set-class", fmt.Sprintf("%04x:%04x", c.Major, c.Minor)}
}

// List is the text of iptables -L.
func (c *Classify) List(ruleset.Names) string {
	return fmt.Sprintf("CLASSIFY set %x:%x", c.Major, c.Minor)
}

// Check refuses hooks that packets pass before they are queued
// (net/netfilter/xt_CLASSIFY.c).
func (c *Classify) Check(in *ruleset.Place) error {
	return onlyHooks(in, packet.Output, packet.Forward, packet.Postrouting)
}

// Lower gives the change; no match asks for skb->priority.
func (c *Classify) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SetPriority{Class: uint32(c.Major)<<16 | uint32(c.Minor)})
}

func classifyOf(e pred.SetPriority) *Classify {
	return &Classify{Major: uint16(e.Class >> 16), Minor: uint16(e.Class)}
}
