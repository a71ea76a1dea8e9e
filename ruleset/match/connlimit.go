package match

import (
	"cmp"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// connlimitKind is -m connlimit, revision 1 (net/netfilter/xt_connlimit.c).
var connlimitKind = &ruleset.MatchKind{
	Name:     "connlimit",
	Families: ruleset.Both,
	Doc:      "how many connections there are from (or to) the address or its network",
	Options: []ruleset.Option{
		{Name: "connlimit-upto", NArgs: 1, Negate: true, Help: "yes up to so many connections"},
		{Name: "connlimit-above", NArgs: 1, Negate: true, Help: "yes for more connections"},
		{Name: "connlimit-mask", NArgs: 1, Help: "prefix length by which addresses are grouped"},
		{Name: "connlimit-saddr", Help: "group by the source address (default)"},
		{Name: "connlimit-daddr", Help: "group by the destination address"},
	},
	New: func() ruleset.MatchBuilder { return &connlimit{} },
}

// connlimit is -m connlimit.
type connlimit struct {
	given
	unseen
	family packet.Family
	upto   bool
	limit  uint32
	plen   int    // valid if --connlimit-mask is given
	holes  string // the mask as it was given, if its bits are no prefix
}

// Set takes one option.
func (m *connlimit) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	m.family = env.Family
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "connlimit-upto", "connlimit-above":
		m.upto = (option == "connlimit-upto") != negate
		m.limit, err = number32(option, args[0], 0)
	case "connlimit-mask":
		m.plen, err = parsePrefix(env.Family, option, args[0])
		if m.plen > env.Family.Bits() { // connlimit_save4() prints all ones
			m.plen, m.holes = env.Family.Bits(), args[0]
		}
	}
	return err
}

// Done is called after the last option.
func (m *connlimit) Done(env *ruleset.Env) error {
	m.family = env.Family
	return cmp.Or(ruleset.InWords(m.needOneOf("connlimit-upto", "connlimit-above"), "You must specify \"--connlimit-above\" or \"--connlimit-upto\"."), m.notBoth("connlimit-upto", "connlimit-above"),
		m.notBoth("connlimit-saddr", "connlimit-daddr"))
}

// Match gives the match itself.
func (m *connlimit) Match() ruleset.Match { return m }

// Word is "connlimit".
func (m *connlimit) Word() string { return "connlimit" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// connlimit_mt_check() does so through nf_conncount_init().
func (m *connlimit) NeedsConntrack() bool { return true }

// Args prints as connlimit_save4() of libxt_connlimit.c.
func (m *connlimit) Args() []string {
	option, side, plen := "--connlimit-above", "--connlimit-saddr", m.family.Bits()
	if m.upto {
		option = "--connlimit-upto"
	}
	if m.given["connlimit-mask"] {
		plen = m.plen
	}
	if m.given["connlimit-daddr"] {
		side = "--connlimit-daddr"
	}
	return []string{"-m", "connlimit", option, fmt.Sprint(m.limit), "--connlimit-mask", fmt.Sprint(plen), side}
}

// ExactArgs has a mask whose bits are no prefix, too.
func (m *connlimit) ExactArgs() []string {
	if m.holes == "" {
		return nil
	}
	args := m.Args()
	args[len(args)-2] = m.holes
	return args
}

// Check refuses nothing.
func (m *connlimit) Check(*ruleset.Place) error { return nil }

// Lower says why BPF cannot do it.
func (m *connlimit) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "connlimit counts those connections of an address whose tuples the kernel still finds in its table (nf_conncount_count_skb(), net/netfilter/nf_conncount.c); where that table lies, and the key of its hash, are variables that a BPF program is not led to, and the address of an entry does not tell of a later one with the same tuple"}
}
