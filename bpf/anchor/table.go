package anchor

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Name is the name of our table in nf_tables.
const Name = "bpftables"

// ErrMissing says that this kernel cannot hold our table.
var ErrMissing = errors.New("this kernel has no nf_tables, or no xt matches in it (CONFIG_NF_TABLES, CONFIG_NFT_COMPAT)")

// Table is our table of one family in the network namespace of the calling thread.
type Table struct{ family packet.Family }

// Of gives the table of a family; it need not be there.
func Of(family packet.Family) Table { return Table{family} }

func (t Table) nft() *nftables.Table {
	family := nftables.TableFamilyIPv4
	if t.family == packet.IPv6 {
		family = nftables.TableFamilyIPv6
	}
	return &nftables.Table{Name: Name, Family: family}
}

// Chain is a chain of the table.
type Chain struct {
	Name  string
	Base  *Base // nil: packets come by jumps only
	Rules []Rule
}

// Base says where a chain stands.
type Base struct {
	Type     nftables.ChainType
	Hook     packet.Hook
	Priority int32 // lower ones come first (enum nf_ip_hook_priorities)
	Drop     bool  // what reaches the end of the chain is dropped
}

// sendRoom is what the kernel takes of a transaction at once, at least.
const sendRoom = 1 << 20

// transaction runs a change of the table as one transaction of nf_tables: all of it
// happens, or nothing. Nothing is sent of a change that fails to say what it wants.
func (t Table) transaction(size int, change func(*nftables.Conn, *nftables.Table) error) error {
	room := func(c *netlink.Conn) error {
		// A transaction is one message to the kernel.
		return errors.Join(c.SetWriteBuffer(max(size, sendRoom)), c.SetReadBuffer(max(size, sendRoom)))
	}
	c, err := nftables.New(nftables.WithSockOptions(room))
	if err != nil {
		return fmt.Errorf("nf_tables: %w", err)
	}
	if err := change(c, t.nft()); err != nil {
		return err
	}
	err = c.Flush()
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	return err
}

// replaceTries is how often a change is tried that others, who remove chains of ours
// meanwhile, make fail.
const replaceTries = 10

// Replace removes chains and adds others in one transaction; packets meet the old ones
// or the new ones. Chains to remove that are not there are no error.
func (t Table) Replace(remove []string, add []Chain) (err error) {
	for range replaceTries {
		// What is gone between our look and the transaction fails it as a whole.
		if err = t.replace(remove, add); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return err
}

func (t Table) replace(remove []string, add []Chain) error {
	if len(remove) > 0 {
		have, err := t.Chains()
		if err != nil {
			return err
		}
		remove = present(remove, have)
	}
	if len(remove)+len(add) == 0 {
		return nil
	}
	if err := t.wake(); err != nil {
		return err
	}
	size := 0
	for _, c := range add {
		size += chainRoom
		for _, r := range c.Rules {
			size += r.room()
		}
	}
	err := t.transaction(size, func(c *nftables.Conn, table *nftables.Table) error {
		c.AddTable(table)
		for _, name := range remove { // rules first: a chain that another one jumps to stays
			c.FlushChain(&nftables.Chain{Name: name, Table: table})
		}
		for _, name := range remove {
			c.DelChain(&nftables.Chain{Name: name, Table: table})
		}
		for i := range add {
			c.AddChain(add[i].nft(table))
		}
		sets := uint32(0)
		for _, chain := range add {
			for _, r := range chain.Rules {
				if err := r.prepare(c, table, &sets); err != nil {
					return err
				}
				c.AddRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: chain.Name, Table: table}, Exprs: r})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("table %s of nf_tables: %w", Name, err)
	}
	return nil
}

// About what a chain and a rule take in a transaction, in bytes.
const (
	chainRoom = 512
	ruleRoom  = 2048
	mapRoom   = 16384
)

func (c *Chain) nft(table *nftables.Table) *nftables.Chain {
	out := &nftables.Chain{Name: c.Name, Table: table}
	if c.Base == nil {
		return out
	}
	policy := nftables.ChainPolicyAccept
	if c.Base.Drop {
		policy = nftables.ChainPolicyDrop
	}
	out.Type, out.Policy = c.Base.Type, &policy
	out.Hooknum = nftables.ChainHookRef(nftables.ChainHook(c.Base.Hook))
	out.Priority = nftables.ChainPriorityRef(nftables.ChainPriority(c.Base.Priority))
	return out
}

func present(names []string, have []Found) (out []string) {
	there := map[string]bool{}
	for _, f := range have {
		there[f.Name] = true
	}
	for _, n := range names {
		if there[n] {
			out = append(out, n)
		}
	}
	return out
}

// Remove removes the table with everything in it, if it is there. A transaction that fails
// makes the kernel wait, too.
func (t Table) Remove() error {
	there, err := Tables(t.family, Name)
	if err != nil || len(there) == 0 {
		return err
	}
	err = t.transaction(0, func(c *nftables.Conn, table *nftables.Table) error {
		c.DelTable(table)
		return nil
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove table %s of nf_tables: %w", Name, err)
	}
	return nil
}
