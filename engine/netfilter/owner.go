package netfilter

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset"
)

// initialUserNamespace is the inode of the first user namespace (PROC_USER_INIT_INO,
// include/linux/proc_ns.h).
const initialUserNamespace = 0xEFFFFFFD

// leave are the tables to leave to netfilter whatever they hold, with the reason.
func (d *Datapath) leave(rs *ruleset.Ruleset) (map[string]string, error) {
	out, err := foreignOwners(rs)
	if err != nil {
		return nil, err
	}
	missing, asked := false, false
	for _, t := range rs.Tables {
		if !translates(t) {
			continue
		}
		if !asked {
			asked = true
			if missing, err = d.netfilter.own.Missing(); err != nil {
				return nil, err
			}
		}
		if missing {
			out[t.Name] = "this kernel has no nf_tables (CONFIG_NF_TABLES), which would translate addresses for it"
		}
	}
	return out, nil
}

// translates says whether a table has chains that translate addresses.
func translates(t *ruleset.Table) bool {
	return slices.ContainsFunc(t.Bases(), func(b *ruleset.Base) bool { return b.Type == ruleset.NAT })
}

// foreignOwners gives the tables that ask for users or groups in a network namespace
// that belongs to another user namespace than the first: owner_mt()
// (net/netfilter/xt_owner.c) translates ids there, BPF cannot.
func foreignOwners(rs *ruleset.Ruleset) (map[string]string, error) {
	out := map[string]string{}
	for _, t := range rs.Tables {
		if asksOwner(t) {
			out[t.Name] = "-m owner in a network namespace of another user namespace: BPF sees the kernel's ids (owner_mt(), net/netfilter/xt_owner.c)"
		}
	}
	if len(out) == 0 {
		return out, nil
	}
	initial, err := inInitialUserNamespace()
	if initial {
		clear(out)
	}
	return out, err
}

func asksOwner(t *ruleset.Table) bool {
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			for s := range r.All() {
				if ruleset.AsksOwner(s) {
					return true
				}
			}
		}
	}
	return false
}

// inInitialUserNamespace asks who owns the network namespace of the thread.
func inInitialUserNamespace() (bool, error) {
	netns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return false, fmt.Errorf("owner of the network namespace: %w", err)
	}
	defer netns.Close()
	fd, err := unix.IoctlRetInt(int(netns.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return false, fmt.Errorf("owner of the network namespace: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, fmt.Errorf("owner of the network namespace: %w", err)
	}
	return st.Ino == initialUserNamespace, nil
}
