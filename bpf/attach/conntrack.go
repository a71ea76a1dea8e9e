package attach

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// conntrackTable is the name of the nft table that keeps the kernel's conntrack on.
const conntrackTable = "bpftables"

// table is the nft table of the family. Its chain has no hook: nothing passes it.
func (s *Space) table() *nftables.Table {
	family := nftables.TableFamilyIPv4
	if s.family == packet.IPv6 {
		family = nftables.TableFamilyIPv6
	}
	return &nftables.Table{Name: conntrackTable, Family: family}
}

// ConntrackOn makes the kernel track connections of the family in this namespace,
// which includes reassembling fragments. It does that while a rule somewhere asks for
// it: one that reads "ct state" is enough (nf_ct_netns_get(),
// net/netfilter/nf_conntrack_proto.c).
func (s *Space) ConntrackOn() error {
	on, err := s.conntrack()
	if err != nil || on {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	t := c.AddTable(s.table())
	chain := c.AddChain(&nftables.Chain{Name: "conntrack", Table: t})
	c.AddRule(&nftables.Rule{
		Table: t, Chain: chain,
		Exprs: []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}},
	})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("switch conntrack on by an nft rule: %w", err)
	}
	return nil
}

// ConntrackOff takes our wish for conntrack back.
func (s *Space) ConntrackOff() error {
	on, err := s.conntrack()
	if err != nil || !on {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	c.DelTable(s.table())
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the nft rule that keeps conntrack on: %w", err)
	}
	return nil
}

// conntrack says whether our table is there.
func (s *Space) conntrack() (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("conntrack: %w", err)
	}
	tables, err := c.ListTablesOfFamily(s.table().Family)
	if err != nil {
		return false, fmt.Errorf("list nft tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == conntrackTable {
			return true, nil
		}
	}
	return false, nil
}
