package attach

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// anchorName is the nftables table that keeps the kernel's conntrack on.
const anchorName = "bpftables"

func (s *Space) anchor() *nftables.Table {
	family := nftables.TableFamilyIPv4
	if s.family == packet.IPv6 {
		family = nftables.TableFamilyIPv6
	}
	return &nftables.Table{Name: anchorName, Family: family}
}

// ConntrackOn makes the kernel track the connections of the family in this namespace,
// with defragmentation, as a rule of netfilter's with a conntrack match does. The
// anchor is a rule in a chain at no hook: it costs no packet anything, and its ct
// expression holds a reference (nft_ct_get_init(), net/netfilter/nft_ct.c).
func (s *Space) ConntrackOn() error {
	have, err := s.hasAnchor()
	if err != nil || have {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	table := c.AddTable(s.anchor())
	chain := c.AddChain(&nftables.Chain{Name: "conntrack", Table: table})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("switch conntrack on by an nftables rule: %w", err)
	}
	return nil
}

// ConntrackOff removes the reference of ConntrackOn; others may hold conntrack on.
func (s *Space) ConntrackOff() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	c.DelTable(s.anchor())
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove nftables table %s: %w", anchorName, err)
	}
	return nil
}

func (s *Space) hasAnchor() (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("conntrack: %w", err)
	}
	rules, err := c.GetRules(s.anchor(), &nftables.Chain{Name: "conntrack"})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("list nftables table %s: %w", anchorName, err)
	}
	return len(rules) > 0, nil
}
