package anchor

import (
	"slices"

	"github.com/google/nftables/expr"
)

// conntrack is the name of the chain that keeps the kernel's conntrack on. It has no
// hook: nothing passes it.
const conntrack = "conntrack"

// ConntrackOn makes the kernel track connections of the family in this namespace,
// which includes reassembling fragments. It does that while a rule somewhere asks for
// it: one that reads "ct state" is enough (nf_ct_netns_get(),
// net/netfilter/nf_conntrack_proto.c).
func (t Table) ConntrackOn() error {
	seen, err := t.Look()
	if err != nil || seen.Conntrack() {
		return err
	}
	return t.Replace([]string{conntrack}, []Chain{{
		Name: conntrack, Rules: []Rule{{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}}},
	}})
}

// ConntrackOff takes our wish for conntrack back.
func (t Table) ConntrackOff() error { return t.Replace([]string{conntrack}, nil) }

// Conntrack says whether our wish for conntrack was there.
func (s Seen) Conntrack() bool {
	return slices.ContainsFunc(s.Chains, func(c Found) bool { return c.Name == conntrack && c.Uses > 0 })
}
