package netfilter

import (
	"errors"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/ruleset"
)

// place moves the programs of tables that the tools of iptables have to hold to where the tool of
// this host hangs them: a program has to stand before the chains that it tells, and its guard
// behind them. What lies in our table of nf_tables stands where we say.
func (n *netfilter) place(b *build) error {
	for _, l := range b.layouts {
		if _, err := shim.Own(l); err == nil {
			if len(l.Late.Entries) > 0 {
				b.endLate(l.Table)
			}
			continue
		}
		t, err := n.tools.forTables()
		if errors.Is(err, tool.ErrMissing) {
			return nil // adding the layout will say so
		}
		if err != nil {
			return err
		}
		for i := range b.progs {
			if p := &b.progs[i]; p.Table == l.Table {
				p.Priority = priorityOf(t, p.Priority)
			}
		}
	}
	return nil
}

// endLate has the guards of a table stand behind conntrack, where some of its actions are ended.
func (b *build) endLate(table string) {
	for i := range b.progs {
		if p := &b.progs[i]; p.Table == table {
			p.Late = p.Shim
		}
	}
}

// nftSecurity is where iptables-nft has the chains of table security (xtables_ipv4[],
// iptables/nft.c).
const nftSecurity = 150

// priorityOf is where a tool hangs the chains of netfilter's priority.
func priorityOf(t *tool.Tool, priority int32) int32 {
	if t.Variant() == tool.NFT && priority == ruleset.PrioritySecurity {
		return nftSecurity
	}
	return priority
}
