package theirs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/nfnl"
	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

func (n *Netfilter) nfFamily() nftables.TableFamily {
	if n.family == packet.IPv6 {
		return nftables.TableFamilyIPv6
	}
	return nftables.TableFamilyIPv4
}

// nft looks into a table of nf_tables that has the name of one of iptables'.
func (n *Netfilter) nft(table string) (*Held, error) {
	// Most often there is none of the name, and this is one question; of chains there may be
	// thousands, of others.
	if there, err := anchor.Tables(n.family, table); err != nil || len(there) == 0 {
		return nil, err
	}
	all, err := n.allChains()
	if err != nil {
		return nil, err
	}
	h := &Held{Variant: tool.NFT, Family: n.family, Table: table}
	made := false // by iptables
	for _, chain := range all {
		if chain.Table.Name == table {
			made = h.addChain(chain) || made
		}
	}
	if !made {
		return nil, nil // whoever gave a table of nft's this name, it is not one of iptables'
	}
	if err := n.others(h); err != nil {
		return nil, err
	}
	return h, n.rules(h)
}

// allChains lists the chains of nf_tables, once.
func (n *Netfilter) allChains() ([]*nftables.Chain, error) {
	if n.looked {
		return n.chains, nil
	}
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nf_tables: %w", err)
	}
	var all []*nftables.Chain
	err = steady.Tables(func() (err error) { all, err = c.ListChainsOfTableFamily(n.nfFamily()); return err })
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("list the chains of nf_tables: %w; this takes CAP_NET_ADMIN", err)
	}
	n.chains, n.looked = all, true
	return all, nil
}

// Translates says whether a table or chain of this family translates addresses.
func (n *Netfilter) Translates() (bool, error) {
	all, err := n.allChains()
	return n.listed("nat") || slices.ContainsFunc(all, func(c *nftables.Chain) bool { return c.Type == nftables.ChainTypeNAT }), err
}

// addChain counts a chain, if it is not ours and not as in every new table. True: it is a
// base chain as iptables makes it.
func (h *Held) addChain(c *nftables.Chain) bool {
	base := tables.Base(h.Table, c.Name, "")
	switch {
	case ourChain(c.Name):
		h.Ours = true
	case c.Hooknum == nil && base == nil:
		h.Chains++
	case c.Hooknum == nil:
		h.Odd = append(h.Odd, "chain "+c.Name+" at no hook")
	case base == nil, c.Priority == nil, !hangs(base, int32(*c.Priority)):
		h.Odd = append(h.Odd, "base chain "+c.Name)
	default:
		if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			h.Drops = append(h.Drops, c.Name)
		}
		return true
	}
	return false
}

// lateSecurity is where iptables-nft hangs table security (the tables of iptables/nft.c);
// iptables-legacy hangs it at NF_IP_PRI_SECURITY, 50.
const lateSecurity = 150

// hangs says whether iptables hangs a base chain at a priority.
func hangs(base *ruleset.Base, priority int32) bool {
	return priority == base.Priority || base.Priority == ruleset.PrioritySecurity && priority == lateSecurity
}

// dormant says that the rules of a table are not asked (NFT_TABLE_F_DORMANT).
const dormant = 1

// others looks for what iptables has not made.
func (n *Netfilter) others(h *Held) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nf_tables: %w", err)
	}
	t := &nftables.Table{Name: h.Table, Family: n.nfFamily()}
	var sets []*nftables.Set
	err = steady.Tables(func() (err error) { sets, err = c.GetSets(t); return err })
	if err != nil {
		return fmt.Errorf("list the sets of nf_tables: %w", err)
	}
	for _, s := range sets {
		h.Odd = append(h.Odd, "set "+s.Name)
	}
	var objects []nftables.Obj
	err = steady.Tables(func() (err error) { objects, err = c.GetObjects(t); return err })
	if err != nil {
		return fmt.Errorf("list the objects of nf_tables: %w", err)
	}
	if len(objects) > 0 {
		h.Odd = append(h.Odd, "counters, quotas or other objects")
	}
	var all []*nftables.Table
	err = steady.Tables(func() (err error) { all, err = c.ListTablesOfFamily(n.nfFamily()); return err })
	if err != nil {
		return fmt.Errorf("list the tables of nf_tables: %w", err)
	}
	for _, have := range all {
		if have.Name == h.Table && have.Flags&dormant != 0 {
			h.Odd = append(h.Odd, "the flag dormant")
		}
	}
	return nil
}

// rules counts the rules that are not ours.
func (n *Netfilter) rules(h *Held) error {
	messages, err := n.dumpRules(h.Table)
	if err != nil {
		return fmt.Errorf("list the rules of nf_tables: %w", err)
	}
	pin := []byte(n.pins + "/")
	for _, m := range messages {
		if len(m.Data) < nfgenSize {
			continue
		}
		attributes, err := netlink.UnmarshalAttributes(m.Data[nfgenSize:])
		if err != nil {
			return fmt.Errorf("list the rules of nf_tables: %w", err)
		}
		table, chain := "", ""
		for _, a := range attributes {
			switch a.Type {
			case unix.NFTA_RULE_TABLE:
				table = cString(a.Data)
			case unix.NFTA_RULE_CHAIN:
				chain = cString(a.Data)
			}
		}
		switch {
		case table != h.Table:
		case ourChain(chain), bytes.Contains(m.Data, pin):
			h.Ours = true
		default:
			h.Rules++
		}
	}
	return nil
}

// nfgenSize is the size of struct nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h).
const nfgenSize = 4

func (n *Netfilter) dumpRules(table string) (messages []netlink.Message, err error) {
	c, err := nfnl.Dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	only, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(table), 0)}})
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint16([]byte{byte(n.nfFamily()), unix.NFNETLINK_V0}, 0)
	err = steady.TablesBy(c, func() (err error) {
		messages, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
			Data:   append(head, only...),
		})
		return err
	})
	return messages, err
}

// missing says whether the kernel has no nf_tables at all: then nothing is held there.
func missing(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}
