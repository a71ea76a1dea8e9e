package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// tosKind is -m tos, revision 1.
var tosKind = &ruleset.MatchKind{
	Name:     "tos",
	Families: ruleset.Both,
	Doc:      "the type of service byte of IPv4, the traffic class of IPv6",
	Options:  []ruleset.Option{{Name: "tos", NArgs: 1, Negate: true, Help: "value[/mask] or a name such as Minimize-Delay"}},
	New:      func() ruleset.MatchBuilder { return &tos{} },
}

// tos is -m tos.
type tos struct {
	given
	value, mask uint8
	negate      bool
}

var tosNames = []struct {
	name  string
	value uint8
}{
	{"Minimize-Delay", 0x10}, {"Maximize-Throughput", 0x08}, {"Maximize-Reliability", 0x04}, {"Minimize-Cost", 0x02}, {"Normal-Service", 0},
}

// tosNameMask is the mask of a name: the bits that ECN uses do not count, and two more.
const tosNameMask = 0x3f

// Set takes one option.
func (m *tos) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	m.value, m.mask, err = parseTOS(option, args[0])
	return err
}

// parseTOS reads "value", "value/mask" or a name (XTTYPE_TOSMASK).
func parseTOS(option, arg string) (value, mask uint8, err error) {
	v, rest, ok := strtou(arg)
	if !ok || v > 255 {
		for _, n := range tosNames {
			if strings.EqualFold(n.name, arg) {
				return n.value, tosNameMask, nil
			}
		}
		return 0, 0, ruleset.InWords(fmt.Errorf("--%s: %q is neither a number up to 255 nor a name; give value/mask or Minimize-Delay, "+
			"Maximize-Throughput, Maximize-Reliability, Minimize-Cost, Normal-Service", option, arg), "Symbolic name \"%s\" is unknown", arg)
	}
	if rest == "" {
		return uint8(v), 255, nil
	}
	if w, end, ok := strtou(rest[1:]); rest[0] == '/' && ok && end == "" && w <= 255 {
		return uint8(v), uint8(w), nil
	}
	return 0, 0, ruleset.InWords(fmt.Errorf("--%s: illegal value %q; give value/mask, each up to 255", option, arg), "Illegal value: \"%s\"", arg)
}

// Done wants --tos.
func (m *tos) Done(*ruleset.Env) error { return m.need("tos") }

// Match gives the match itself.
func (m *tos) Match() ruleset.Match { return m }

// Word is "tos".
func (m *tos) Word() string { return "tos" }

// Args prints as tos_mt_save() of libxt_tos.c.
func (m *tos) Args() []string {
	return append(append([]string{"-m", "tos"}, bang(m.negate)...), "--tos", fmt.Sprintf("0x%02x/0x%02x", m.value, m.mask))
}

// Check refuses nothing.
func (m *tos) Check(*ruleset.Place) error { return nil }

// Eval is tos_mt() of net/netfilter/xt_dscp.c; the value is not masked.
func (m *tos) Eval(f *packet.Facts) pred.Answer {
	return answer(dsField(f)&m.mask == m.value, m.negate)
}

// Lower gives one comparison.
func (m *tos) Lower(in *ruleset.Place) pred.Pred {
	return pred.Negated(lowerDSField(in.Family, m.mask, m.value), m.negate)
}
