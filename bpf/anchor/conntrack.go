package anchor

import (
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
	on, err := t.Conntrack()
	if err != nil || on {
		return err
	}
	return t.Replace([]string{conntrack}, []Chain{{
		Name: conntrack, Rules: []Rule{{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}}},
	}})
}

// ConntrackOff takes our wish for conntrack back.
func (t Table) ConntrackOff() error { return t.Replace([]string{conntrack}, nil) }

// Conntrack says whether our wish for conntrack is there.
func (t Table) Conntrack() (bool, error) {
	chains, err := t.Chains()
	for _, c := range chains {
		if c.Name == conntrack && c.Uses > 0 {
			return true, nil
		}
	}
	return false, err
}
