package match

import (
	"cmp"
	"fmt"
	"math/bits"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// clusterKind is -m cluster (net/netfilter/xt_cluster.c).
var clusterKind = &ruleset.MatchKind{
	Name:     "cluster",
	Families: ruleset.Both,
	Doc:      "the connection falls to this node of a cluster",
	Options: []ruleset.Option{
		{Name: "cluster-total-nodes", NArgs: 1, Help: "number of nodes, at most 32"},
		{Name: "cluster-local-node", NArgs: 1, Negate: true, Help: "number of this node, from 1"},
		{Name: "cluster-local-nodemask", NArgs: 1, Negate: true, Help: "this node as a bit mask, at most 32"},
		{Name: "cluster-hash-seed", NArgs: 1, Help: "seed of the hash"},
	},
	New: func() ruleset.MatchBuilder { return &cluster{} },
}

// clusterMax is XT_CLUSTER_NODES_MAX.
const clusterMax = 32

// cluster is -m cluster.
type cluster struct {
	given
	unseen
	total, mask, seed uint32
	negate            bool
}

// Set takes one option.
func (m *cluster) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	if option == "cluster-hash-seed" {
		v, err := number32(option, args[0], 0)
		m.seed = v
		return err
	}
	v, err := number(option, args[0], 1, clusterMax)
	switch option {
	case "cluster-total-nodes":
		m.total = uint32(v)
	case "cluster-local-node":
		m.mask = 1 << (v - 1)
	case "cluster-local-nodemask":
		m.mask = uint32(v)
	}
	m.negate = m.negate || negate
	return err
}

// Done is cluster_check() of libxt_cluster.c.
func (m *cluster) Done(*ruleset.Env) error {
	err := cmp.Or(ruleset.InWords(m.needOneOf("cluster-local-node", "cluster-local-nodemask"),
		"cluster match: `--cluster-local-node' or`--cluster-local-nodemask' is missing"),
		m.need("cluster-total-nodes", "cluster-hash-seed"), m.notBoth("cluster-local-node", "cluster-local-nodemask"))
	if err == nil && uint64(m.mask) >= 1<<m.total {
		err = fmt.Errorf("the local node is not one of the %d of --cluster-total-nodes", m.total)
		if m.given["cluster-local-node"] {
			return ruleset.InWords(err, "cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'")
		}
		return ruleset.InWords(err, "cluster match: `--cluster-local-nodemask' too big for `--cluster-total-nodes'")
	}
	return err
}

// Match gives the match itself.
func (m *cluster) Match() ruleset.Match { return m }

// Word is "cluster".
func (m *cluster) Word() string { return "cluster" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// xt_cluster_mt_checkentry() calls nf_ct_netns_get().
func (m *cluster) NeedsConntrack() bool { return true }

// Args prints as cluster_save() of libxt_cluster.c.
func (m *cluster) Args() []string {
	return append(append([]string{"-m", "cluster"}, bang(m.negate)...),
		"--cluster-local-nodemask", fmt.Sprintf("0x%08x", m.mask),
		"--cluster-total-nodes", fmt.Sprint(m.total), "--cluster-hash-seed", fmt.Sprintf("0x%08x", m.seed))
}

// ExactArgs are --cluster-local-node where a mask of this node alone is printed which
// libxt_cluster.c does not read: those above 32.
func (m *cluster) ExactArgs() []string {
	if m.mask <= clusterMax {
		return nil
	}
	return append(append([]string{"-m", "cluster", "--cluster-total-nodes", fmt.Sprint(m.total)}, bang(m.negate)...),
		"--cluster-local-node", fmt.Sprint(1+bits.TrailingZeros32(m.mask)), "--cluster-hash-seed", fmt.Sprintf("0x%08x", m.seed))
}

// Check refuses nothing that Done lets through.
func (m *cluster) Check(*ruleset.Place) error { return nil }

// Lower says why BPF does not do it.
func (m *cluster) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "cluster hashes the connection's source and changes the packet's type (xt_cluster_mt(), net/netfilter/xt_cluster.c), which a BPF program at a netfilter hook cannot write"}
}
