package target

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var tosKind = &ruleset.TargetKind{
	Name:     "TOS",
	Families: ruleset.Both,
	Doc:      "change the type of service, or traffic class, of the IP header",
	Options: []ruleset.Option{
		{Name: "set-tos", NArgs: 1, Help: "VALUE[/MASK]: clear the bits of MASK, then XOR VALUE in; " +
			"or Minimize-Delay, Maximize-Throughput, Maximize-Reliability, Minimize-Cost, Normal-Service"},
		{Name: "and-tos", NArgs: 1, Help: "BITS: AND the value with BITS"},
		{Name: "or-tos", NArgs: 1, Help: "BITS: OR the value with BITS"},
		{Name: "xor-tos", NArgs: 1, Help: "BITS: XOR the value with BITS"},
	},
	New: func() ruleset.TargetBuilder { return &TOS{} },
}

// tosNames are the named values (include/uapi/linux/ip.h); a name changes the
// bits of tosNameMask.
var tosNames = []struct {
	name  string
	value uint8
}{
	{"Minimize-Delay", 0x10},
	{"Maximize-Throughput", 0x08},
	{"Maximize-Reliability", 0x04},
	{"Minimize-Cost", 0x02},
	{"Normal-Service", 0x00},
}

const tosNameMask = 0x3f

// TOS is -j TOS: tos = (tos & ^Mask) ^ Value.
type TOS struct {
	used
	Value, Mask uint8
}

// Set takes one option.
func (t *TOS) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := t.once(option, negate); err != nil {
		return err
	}
	if option == "set-tos" {
		return t.setTOS(args[0])
	}
	n, err := number(args[0], 0, 0xff)
	bits := uint8(n)
	switch option {
	case "and-tos":
		t.Value, t.Mask = 0, ^bits
	case "or-tos":
		t.Value, t.Mask = bits, bits
	case "xor-tos":
		t.Value, t.Mask = bits, 0
	}
	return err
}

// setTOS reads VALUE, VALUE/MASK or a name (xtopt_parse_tosmask(), libxtables).
func (t *TOS) setTOS(s string) error {
	v, rest, ok := leadingNumber(s)
	if ok && v <= 0xff {
		t.Value, t.Mask = uint8(v), 0xff
		if strings.HasPrefix(rest, "/") {
			v, rest, ok = leadingNumber(rest[1:])
			t.Mask = uint8(v)
		}
		if !ok || v > 0xff || rest != "" {
			return ruleset.InWords(fmt.Errorf("illegal value %q; give VALUE or VALUE/MASK, 0 to 255", s), "Illegal value: \"%s\"", s)
		}
		return nil
	}
	for _, n := range tosNames {
		if strings.EqualFold(n.name, s) {
			t.Value, t.Mask = n.value, tosNameMask
			return nil
		}
	}
	return ruleset.InWords(fmt.Errorf("%q is neither a number from 0 to 255 nor a name of one, such as Minimize-Delay", s), "Symbolic name \"%s\" is unknown", s)
}

// Done asks for one operation.
func (t *TOS) Done(*ruleset.Env) error {
	return cmp.Or(t.exclusive("set-tos", "and-tos", "or-tos", "xor-tos"),
		ruleset.InWords(t.need("set-tos", "and-tos", "or-tos", "xor-tos"), "TOS: An action is required"))
}

// Target gives the target that was built.
func (t *TOS) Target() ruleset.Target { return t }

// Word is the name after -j.
func (t *TOS) Word() string { return "TOS" }

// Args is the text after -j.
func (t *TOS) Args() []string {
	return []string{"TOS", "--set-tos", fmt.Sprintf("0x%02x/0x%02x", t.Value, t.Mask)}
}

// List is the text of iptables -L.
func (t *TOS) List(names ruleset.Names) string {
	full := fmt.Sprintf("TOS set 0x%02x/0x%02x", t.Value, t.Mask)
	if names == nil {
		return full
	}
	for _, n := range tosNames {
		if t.Mask == tosNameMask && t.Value == n.value {
			return " TOS set" + n.name
		}
	}
	switch {
	case t.Value == 0:
		return fmt.Sprintf("TOS and 0x%02x", ^t.Mask)
	case t.Value == t.Mask:
		return fmt.Sprintf("TOS or 0x%02x", t.Value)
	case t.Mask == 0:
		return fmt.Sprintf("TOS xor 0x%02x", t.Value)
	}
	return full
}

// Check refuses other tables (net/netfilter/xt_DSCP.c).
func (t *TOS) Check(in *ruleset.Place) error { return in.OnlyAt(ruleset.PriorityMangle) }

// Lower gives the change.
func (t *TOS) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SetTOS{Value: t.Value, Mask: t.Mask})
}
