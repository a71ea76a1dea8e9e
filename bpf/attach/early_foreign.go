package attach

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/nftables"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// nftHooks are the numbers of the hooks in nft chains (enum nf_inet_hooks).
var nftHooks = map[uint32]packet.Hook{0: packet.Prerouting, 1: packet.Input, 2: packet.Forward}

// nftIngress is NF_INET_INGRESS.
const nftIngress = 5

// foreignChains looks for base chains of nft that received packets of the family meet.
// Tables of iptables-nft are told apart: they may be ours, but nothing tells when someone
// adds a rule. known counts the chains by hook that stand behind all that drops.
func (s *Space) foreignChains(w EarlyWish) (reason string, known map[packet.Hook]int, err error) {
	c, err := nftables.New()
	if err != nil {
		return "", nil, fmt.Errorf("nft: %w", err)
	}
	var chains []*nftables.Chain
	err = steady.Tables(func() (err error) { chains, err = c.ListChains(); return err })
	if err != nil {
		return "", nil, fmt.Errorf("list nft chains: %w", err)
	}
	known = map[packet.Hook]int{}
	for _, chain := range chains {
		if chain.Hooknum == nil {
			continue
		}
		hook, meets, reason := s.foreignChain(w, chain)
		if reason != "" {
			return reason, nil, nil
		}
		if meets {
			known[hook]++
		}
	}
	return "", known, nil
}

// foreignChain says whether received packets of the family meet a base chain at one of
// the hooks, and why the early stage cannot work because of it.
func (s *Space) foreignChain(w EarlyWish, chain *nftables.Chain) (hook packet.Hook, meets bool, reason string) {
	name := fmt.Sprintf("nft chain %s of table %s", chain.Name, chain.Table.Name)
	number := uint32(*chain.Hooknum)
	own := nftables.TableFamilyIPv4
	if s.family == packet.IPv6 {
		own = nftables.TableFamilyIPv6
	}
	family := chain.Table.Family
	switch {
	case family == nftables.TableFamilyNetdev || family == nftables.TableFamilyINet && number == nftIngress:
		return 0, false, name + " stands at the ingress of an interface"
	case family != own && family != nftables.TableFamilyINet:
		return 0, false, ""
	}
	hook, meets = nftHooks[number]
	if !meets || !w.before(hook, int32(*chain.Priority)) || chain.Table.Name == anchor.Name && family == own {
		return hook, meets, "" // in our table only packets with a note meet rules
	}
	if chain.Table.Family == own && w.Iptables != nil && w.Iptables(chain.Table.Name, chain.Name) {
		return hook, true, fmt.Sprintf("table %s of iptables-nft stands at %s, where others may add rules unseen; BPFTABLES_IPTABLES=legacy avoids it", chain.Table.Name, hook)
	}
	return hook, true, fmt.Sprintf("%s stands at %s", name, hook)
}

// expected says why connections of the namespace may be expected ones, which are RELATED
// where others are NEW; "": they are not. Expectations come from helpers; those that nft
// sets are objects of a table.
func expected() (string, error) {
	if list, err := os.ReadFile("/proc/thread-self/net/nf_conntrack_expect"); err == nil && len(list) > 0 {
		first, _, _ := strings.Cut(string(list), "\n")
		return "connections are expected: " + first, nil
	}
	c, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("nft: %w", err)
	}
	var tables []*nftables.Table
	err = steady.Tables(func() (err error) { tables, err = c.ListTables(); return err })
	if err != nil {
		return "", fmt.Errorf("list nft tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == anchor.Name {
			continue
		}
		var objects []nftables.Obj
		err = steady.Tables(func() (err error) { objects, err = c.GetObjects(t); return err })
		if err != nil || len(objects) > 0 {
			return fmt.Sprintf("table %s of nft has objects, which may be conntrack helpers", t.Name), nil
		}
	}
	return "", nil
}
