package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// nfacctKind is -m nfacct (net/netfilter/xt_nfacct.c).
var nfacctKind = &ruleset.MatchKind{
	Name:     "nfacct",
	Families: ruleset.Both,
	Doc:      "counts the packet in a named accounting object of the kernel",
	Options:  []ruleset.Option{{Name: "nfacct-name", NArgs: 1, Help: "name of the object, made before by the nfacct tool"}},
	New:      func() ruleset.MatchBuilder { return &nfacct{} },
}

// nfacct is -m nfacct.
type nfacct struct {
	given
	unseen
	name string
}

// Set takes one option.
func (m *nfacct) Set(_ *ruleset.Env, option string, _ bool, args []string) error {
	if args[0] == "" || strings.Contains(args[0], "\n") {
		err := fmt.Errorf("--%s: %q cannot be a name; give one of at least one character, without newlines", option, args[0])
		if args[0] == "" {
			return ruleset.InWords(err, tooShort)
		}
		return err
	}
	m.name = cut(args[0], 31)
	return m.once(option)
}

// Done is called after the last option.
func (m *nfacct) Done(*ruleset.Env) error { return m.need("nfacct-name") }

// Match gives the match itself.
func (m *nfacct) Match() ruleset.Match { return m }

// Word is "nfacct".
func (m *nfacct) Word() string { return "nfacct" }

// Args has the name without quotes.
func (m *nfacct) Args() []string { return []string{"-m", "nfacct", "--nfacct-name", m.name} }

// Text prints as nfacct_save() of libxt_nfacct.c, with two spaces.
func (m *nfacct) Text() string { return "-m nfacct --nfacct-name  " + ruleset.Quoted(m.name) }

// Check refuses nothing here; that the object is there is the kernel's to see when
// the rule is loaded.
func (m *nfacct) Check(*ruleset.Place) error { return nil }

// Lower says why BPF cannot do it.
func (m *nfacct) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "nfacct counts in a kernel object and asks its quota (nfacct_mt(), net/netfilter/xt_nfacct.c): BPF can neither find the object nor write its counters"}
}

// unseen is the part of a match that asks what packet.Facts does not hold.
type unseen struct{}

// Eval is no: the answer depends on state of the kernel that is not in the facts.
// Lower says which.
func (unseen) Eval(*packet.Facts) pred.Answer { return pred.No }
