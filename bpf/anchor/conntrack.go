package anchor

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// Wish is what the kernel's conntrack shall do for us: a chain of the table that holds a rule. The chains
// have no hook: nothing passes them.
type Wish struct {
	chain string
	rule  Rule
}

// Tracking makes the kernel track connections of the family in this namespace,
// which includes reassembling fragments. It does that while a rule somewhere asks for
// it: one that reads "ct state" is enough (nf_ct_netns_get(),
// net/netfilter/nf_conntrack_proto.c).
func Tracking() Wish { return Wish{"conntrack", Rule{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}}} }

// Counting makes it count what connections carry, from now on, whatever becomes of the rule
// (connbytes_mt_check(), net/netfilter/xt_connbytes.c).
func Counting() Wish {
	info := make([]byte, 24)                         // struct xt_connbytes_info
	binary.NativeEndian.PutUint64(info[8:], 1<<64-1) // to
	return Wish{"conntrack-counters", Match("connbytes", 0, info)}
}

// Labelling gives labels to connections that begin while the rule is there
// (nf_ct_labels_ext_add(), include/net/netfilter/nf_conntrack_labels.h).
func Labelling() Wish {
	return Wish{"conntrack-labels", Match("connlabel", 0, make([]byte, 4))} // struct xt_connlabel_mtinfo
}

var wishes = []Wish{Tracking(), Counting(), Labelling()}

// ConntrackOn holds some wishes, beside others that are held.
func (t Table) ConntrackOn(all ...Wish) error {
	if len(all) == 0 {
		return nil
	}
	seen, err := t.Look()
	if err != nil {
		return err
	}
	var names []string
	var chains []Chain
	for _, w := range all {
		if !seen.Holds(w) {
			names, chains = append(names, w.chain), append(chains, Chain{Name: w.chain, Rules: []Rule{w.rule}})
		}
	}
	return t.Replace(names, chains)
}

// ConntrackOff takes all wishes back but some.
func (t Table) ConntrackOff(but ...Wish) error {
	var names []string
	for _, w := range wishes {
		if !slices.ContainsFunc(but, func(b Wish) bool { return b.chain == w.chain }) {
			names = append(names, w.chain)
		}
	}
	return t.Replace(names, nil)
}

// Holds says whether a wish was there.
func (s Seen) Holds(w Wish) bool {
	return slices.ContainsFunc(s.Chains, func(c Found) bool { return c.Name == w.chain && c.Uses > 0 })
}

// Match is a match of xtables.
func Match(name string, revision uint32, info []byte) Rule {
	raw := xt.Unknown(info)
	return Rule{&expr.Match{Name: name, Rev: revision, Info: &raw}}
}
