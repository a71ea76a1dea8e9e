package anchor

import (
	"errors"
	"slices"

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
	Base  *Base  // nil: packets come by jumps only
	Tag   string // of the rules of a base chain: nft shows it as a comment
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
// meet the old ones or the new ones. Chains to remove that are not there are no error; of those that
// are to be added, too, only the rules are other ones. A base chain to add that is
// there keeps its place among the chains of others at the same priority, of which netfilter runs the latest
// first (nf_hook_entries_grow(), net/netfilter/core.c); its rules come behind those that it has, unless
// it is among those to remove, too.
func (t Table) Replace(remove []string, add []Chain) error {
	if len(remove) == 0 {
		return t.replace(nil, add) // nothing was looked for
	}
	return again(func() error { return t.replace(remove, add) })
}

// Rewrite gives chains other rules, and adds those among them that are not there, in one transaction. there
// are the names of those that are; should they not be, nothing happens. None of them has an object.
func (t Table) Rewrite(there []string, chains []Chain) error {
	return t.change(func(b *batch) {
		for _, name := range there {
			b.flushChain(name)
		}
		b.addRules(chains)
	})
}

// again runs a change, once more where what is gone between our look and the transaction
// has failed it as a whole.
func again(change func() error) (err error) {
	for range replaceTries {
		if err = change(); !errors.Is(err, unix.ENOENT) {
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
	stay := map[string]bool{}
	for _, c := range add {
		stay[c.Name] = true
	}
	return t.change(func(b *batch) {
		b.addTable()
		b.clear(remove, old, stay)
		b.addRules(add)
	})
}

// Keep removes chains, with the objects of their names, and from others, base chains, all
// rules without a tag, in one transaction. Chains that are not there are no error.
func (t Table) Keep(tag string, bases, remove []string) error {
	return again(func() error { return t.keep(tag, bases, remove) })
}

func (t Table) keep(tag string, bases, remove []string) error {
	remove, objects, err := t.present(remove)
	if err != nil {
		return err
	}
	var old []tagged
	for _, name := range bases {
		rules, err := t.rules(name)
		if err != nil {
			return err
		}
		old = append(old, slices.DeleteFunc(rules, func(r tagged) bool { return r.tag == tag })...)
	}
	if len(remove)+len(objects)+len(old) == 0 {
		return nil
	}
	return t.change(func(b *batch) {
		for _, r := range old {
			b.deleteRule(r)
		}
		b.clear(remove, objects, nil)
	})
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
		if wanted[o.chain()] {
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
	return err
}
