package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// connlabelKind is -m connlabel (net/netfilter/xt_connlabel.c).
var connlabelKind = &ruleset.MatchKind{
	Name:     "connlabel",
	Families: ruleset.Both,
	Doc:      "a label bit of the connection is set",
	Options: []ruleset.Option{
		{Name: "label", NArgs: 1, Negate: true, Help: "number of the bit, 0 to 127, or a name from /etc/xtables/connlabel.conf"},
		{Name: "set", Help: "set the bit first"},
	},
	New: func() ruleset.MatchBuilder { return &connlabel{} },
}

// connlabelFile is the file of label names.
const connlabelFile = "connlabel.conf"

// connlabelMax is the highest bit (NF_CT_LABELS_MAX_SIZE of the kernel).
const connlabelMax = 127

// connlabel is -m connlabel.
type connlabel struct {
	given
	bit    uint16
	name   string
	negate bool
}

// Set takes one option.
func (m *connlabel) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil || option == "set" {
		return err
	}
	m.negate = negate
	if args[0] == "" {
		return ruleset.InWords(fmt.Errorf("--label: \"\" is not a number up to %d or a label of /etc/xtables/%s", connlabelMax, connlabelFile), tooShort)
	}
	v, rest, ok := strtou(args[0])
	if !ok || rest != "" || int32(v) < 0 {
		if env.Resolve != nil && !hasLabels(env.Resolve) {
			env.Warning("Warning: cannot open /etc/xtables/%s: No such file or directory", connlabelFile)
		}
		if v, ok = labelByName(env, args[0]); !ok {
			return ruleset.InWords(fmt.Errorf("--label: %q is not a number up to %d or a label of /etc/xtables/%s", args[0], connlabelMax, connlabelFile), "label '%s' not found or invalid value", args[0])
		}
	}
	m.bit = uint16(v)
	m.name = fmt.Sprint(m.bit)
	if names, ok := env.Resolve.(nameFiles); ok {
		if name, ok := names.NameIn(connlabelFile, uint32(m.bit)); ok {
			m.name = name
		}
	}
	return nil
}

// hasLabels says whether there is a file of names.
func hasLabels(r ruleset.Resolver) bool {
	files, ok := r.(nameFiles)
	return !ok || files.Has(connlabelFile)
}

func labelByName(env *ruleset.Env, name string) (uint64, bool) {
	if env.Resolve == nil {
		return 0, false
	}
	v, ok := env.Resolve.Named(connlabelFile, name)
	return uint64(v), ok
}

// Done is called after the last option.
func (m *connlabel) Done(*ruleset.Env) error { return m.need("label") }

// Match gives the match itself.
func (m *connlabel) Match() ruleset.Match { return m }

// Word is "connlabel".
func (m *connlabel) Word() string { return "connlabel" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// connlabel_mt_check() calls nf_ct_netns_get().
func (m *connlabel) NeedsConntrack() bool { return true }

// TrackingKeeps says that connections have labels: connlabel_mt_check() calls nf_connlabels_get().
func (m *connlabel) TrackingKeeps() pred.Tracking { return pred.TracksLabels }

// Args has the label without quotes.
func (m *connlabel) Args() []string { return m.args(m.name) }

func (m *connlabel) args(label string) []string {
	args := append(append([]string{"-m", "connlabel"}, bang(m.negate)...), "--label", label)
	if m.given["set"] {
		args = append(args, "--set")
	}
	return args
}

// ExactArgs has the number of a label that is printed by its name.
func (m *connlabel) ExactArgs() []string {
	if number := fmt.Sprint(m.bit); m.name != number {
		return m.args(number)
	}
	return nil
}

// Text prints as connlabel_mt_save() of libxt_connlabel.c: the label is always
// quoted.
func (m *connlabel) Text() string { return strings.Join(m.args(`"`+m.name+`"`), " ") }

// Check is connlabel_mt_check().
func (m *connlabel) Check(*ruleset.Place) error {
	if m.bit > connlabelMax {
		return ruleset.InWords(fmt.Errorf("--label: %d is above %d, the last label bit of a connection", m.bit, connlabelMax), "%s", ruleset.OutOfRange)
	}
	return nil
}

// Eval is connlabel_mt() without --set.
func (m *connlabel) Eval(f *packet.Facts) pred.Answer {
	return answer(f.Conn != nil && f.Conn.Labels[m.bit/64]>>(m.bit%64)&1 != 0, m.negate)
}

// Lower gives the same in predicates.
func (m *connlabel) Lower(*ruleset.Place) pred.Pred {
	if m.given["set"] {
		return pred.Unsupported{Reason: "connlabel --set sets bits of an extension of struct nf_conn (connlabel_mt(), net/netfilter/xt_connlabel.c), which BPF cannot write"}
	}
	return pred.Negated(pred.ConnLabel{Bit: uint8(m.bit)}, m.negate)
}
