package target

import (
	"cmp"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var dscpKind = &ruleset.TargetKind{
	Name:     "DSCP",
	Families: ruleset.Both,
	Doc:      "set the DSCP field of the IP header",
	Options: []ruleset.Option{
		{Name: "set-dscp", NArgs: 1, Help: "value, 0 to 0x3f"},
		{Name: "set-dscp-class", NArgs: 1, Help: "name of the value: BE, EF, CS0 to CS7, AF11 to AF43"},
	},
	New: func() ruleset.TargetBuilder { return &DSCP{} },
}

// dscpClasses are the names of values (RFC 2474, RFC 2597, RFC 3246). The first
// that begins the argument is taken.
var dscpClasses = []struct {
	name  string
	value uint8
}{
	{"CS0", 0x00}, {"CS1", 0x08}, {"CS2", 0x10}, {"CS3", 0x18},
	{"CS4", 0x20}, {"CS5", 0x28}, {"CS6", 0x30}, {"CS7", 0x38},
	{"BE", 0x00},
	{"AF11", 0x0a}, {"AF12", 0x0c}, {"AF13", 0x0e},
	{"AF21", 0x12}, {"AF22", 0x14}, {"AF23", 0x16},
	{"AF31", 0x1a}, {"AF32", 0x1c}, {"AF33", 0x1e},
	{"AF41", 0x22}, {"AF42", 0x24}, {"AF43", 0x26},
	{"EF", 0x2e},
}

// DSCP is -j DSCP.
type DSCP struct {
	used
	Value uint8
}

// Set takes one option.
func (d *DSCP) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := d.once(option, negate); err != nil {
		return err
	}
	if option == "set-dscp" {
		n, err := number(args[0], 0, 0x3f)
		d.Value = uint8(n)
		return err
	}
	for _, c := range dscpClasses {
		if startsFold(args[0], c.name) {
			d.Value = c.value
			return nil
		}
	}
	return ruleset.InWords(fmt.Errorf("invalid DSCP class %q; BE, EF, CS0 to CS7 or AF11 to AF43", args[0]), "Invalid DSCP value `%s'", args[0])
}

// Done asks for one value.
func (d *DSCP) Done(*ruleset.Env) error {
	return cmp.Or(ruleset.InWords(d.need("set-dscp", "set-dscp-class"), "DSCP target: Parameter --set-dscp is required"),
		d.exclusive("set-dscp", "set-dscp-class"))
}

// Target gives the target that was built.
func (d *DSCP) Target() ruleset.Target { return d }

// Word is the name after -j.
func (d *DSCP) Word() string { return "DSCP" }

// Args is the text after -j.
func (d *DSCP) Args() []string {
	return []string{"DSCP", "--set-dscp", fmt.Sprintf("0x%02x", d.Value)}
}

// List is the text of iptables -L.
func (d *DSCP) List(ruleset.Names) string {
	return fmt.Sprintf("DSCP set 0x%02x", d.Value)
}

// Check refuses other tables (net/netfilter/xt_DSCP.c).
func (d *DSCP) Check(in *ruleset.Place) error { return in.OnlyAt(ruleset.PriorityMangle) }

// Lower gives the change.
func (d *DSCP) Lower(*ruleset.Place) pred.Action { return pred.Doing(pred.SetDSCP{Value: d.Value}) }
