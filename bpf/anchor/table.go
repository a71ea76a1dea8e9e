package anchor

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
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

// replaceTries is how often a change is tried that others, who remove chains of ours
// meanwhile, make fail.
const replaceTries = 10

// Replace removes chains, with the objects of their names, and adds others in one transaction; packets
// meet the old ones or the new ones. Chains to remove that are not there are no error.
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
	var old []object
	if len(remove) > 0 {
		var err error
		if remove, old, err = t.present(remove); err != nil {
			return err
		}
	}
	if len(remove)+len(old)+len(add) == 0 {
		return nil
	}
	if err := t.wake(); err != nil {
		return err
	}
	err := t.change(func(b *batch) {
		b.addTable()
		for _, name := range remove { // rules first: a chain that another one jumps to stays
			b.flushChain(name)
		}
		for _, name := range remove {
			b.deleteChain(name)
		}
		for _, o := range old {
			b.deleteObject(o)
		}
		for i := range add {
			b.addChain(&add[i])
		}
		for _, chain := range add {
			for _, r := range chain.Rules {
				b.addRule(chain.Name, r)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("table %s of nf_tables: %w", Name, err)
	}
	return nil
}

// present gives those of some chains that are there, and what objects of their names there are.
func (t Table) present(names []string) (chains []string, objects []object, err error) {
	have, err := t.Chains()
	if err != nil {
		return nil, nil, err
	}
	all, err := t.objects()
	if err != nil {
		return nil, nil, err
	}
	wanted, there := map[string]bool{}, map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	for _, f := range have {
		there[f.Name] = true
	}
	for _, n := range names {
		if there[n] {
			chains = append(chains, n)
		}
	}
	for _, o := range all {
		if wanted[o.name] {
			objects = append(objects, o)
		}
	}
	return chains, objects, nil
}

// Remove removes the table with everything in it, if it is there. A transaction that fails
// makes the kernel wait, too.
func (t Table) Remove() error {
	there, err := Tables(t.family, Name)
	if err != nil || len(there) == 0 {
		return err
	}
	err = t.change((*batch).deleteTable)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove table %s of nf_tables: %w", Name, err)
	}
	return nil
}
