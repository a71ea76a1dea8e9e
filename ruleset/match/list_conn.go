package match

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// listArgs is how the matches of connections are listed: as iptables-save prints
// them, without the dashes.
func listArgs(args []string) string {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = strings.TrimPrefix(a, "--")
	}
	return strings.Join(list, " ")
}

// listHost is conntrack_dump_addr() of libxt_conntrack.c.
func (h hostMask) list(family packet.Family, names ruleset.Names) string {
	if names == nil {
		return h.text(family)
	}
	addr := addrOf(family, h.addr)
	if addr.IsUnspecified() {
		return "anywhere"
	}
	host, mask, slash := strings.Cut(h.text(family), "/")
	if name, ok := names.Address(addr); ok {
		host = name
	}
	if slash {
		return host + "/" + mask
	}
	return host
}

// List is conntrack_dump() of libxt_conntrack.c.
func (m *conntrack) List(names ruleset.Names) string {
	args := m.Args()[2:]
	for i := range args {
		for side, s := range ctSides {
			if args[i] == "--"+s.option {
				args[i+1] = m.addrs[side].list(m.family, names)
			}
		}
	}
	return listArgs(args)
}

// List is conntrack_dump() of libxt_conntrack.c: the kernel has it as -m conntrack.
func (m *state) List(ruleset.Names) string { return listArgs(m.Args()[2:]) }

// List is mark_mt_print() of libxt_mark.c.
func (m *mark) List(ruleset.Names) string {
	return strings.Join(append(append([]string{"mark match"}, bang(m.negate)...), m.want.String()), " ")
}

// List is connmark_mt_print() of libxt_connmark.c.
func (m *connmark) List(ruleset.Names) string {
	return "connmark match " + not(m.negate) + " " + m.want.String()
}

// List is connbytes_print() of libxt_connbytes.c.
func (m *connbytes) List(ruleset.Names) string {
	args := m.Args()[2:]
	n := len(args)
	return strings.Join(append(bang(m.from > m.to), "connbytes", args[n-5], "connbytes mode", args[n-3], "connbytes direction", args[n-1]), " ")
}

// List is connlabel_mt_print() of libxt_connlabel.c.
func (m *connlabel) List(names ruleset.Names) string {
	s := "connlabel"
	if m.negate {
		s += " !"
	}
	label := fmt.Sprint(m.bit)
	if names != nil && m.name != label {
		label = "'" + m.name + "'"
	}
	s += " " + label
	if m.given["set"] {
		s += " set"
	}
	return s
}

// List is connlimit_print4() and connlimit_print6() of libxt_connlimit.c.
func (m *connlimit) List(ruleset.Names) string {
	side, op, plen := "src", ">", m.family.Bits()
	if m.given["connlimit-daddr"] {
		side = "dst"
	}
	if m.upto {
		op = "<="
	}
	if m.given["connlimit-mask"] {
		plen = m.plen
	}
	return fmt.Sprintf("#conn %s/%d %s %d", side, plen, op, m.limit)
}

// List is ipvs_mt_dump() of libxt_ipvs.c.
func (m *ipvs) List(names ruleset.Names) string {
	args := m.Args()[2:]
	for i := range args {
		if names == nil || args[i] != "--vaddr" {
			continue
		}
		host, mask, slash := strings.Cut(args[i+1], "/")
		addr, err := netip.ParseAddr(host)
		if err != nil {
			continue
		}
		if name, ok := names.Address(addr); ok {
			host = name
		}
		args[i+1] = host
		if slash {
			args[i+1] += "/" + mask
		}
		if addr.IsUnspecified() {
			args[i+1] = "anywhere"
		}
	}
	return listArgs(args)
}

// List is helper_print() of libxt_helper.c.
func (m *helper) List(ruleset.Names) string {
	if m.negate {
		return fmt.Sprintf(`helper match ! "%s"`, m.name)
	}
	return fmt.Sprintf(`helper match "%s"`, m.name)
}

// List is socket_mt_print() of libxt_socket.c and rpfilter_print() of
// libxt_rpfilter.c: the one lists its options with dashes, the other without.
func (m *flags) List(ruleset.Names) string {
	if m.word == "socket" {
		return strings.Join(m.Args()[1:], " ")
	}
	return listArgs(m.Args()[1:])
}

// List is set_print_v4_matchinfo() of libxt_set.c.
func (m *set) List(ruleset.Names) string { return listArgs(m.Args()[2:]) }

// List is owner_mt_print() of libxt_owner.c.
func (m *owner) List(names ruleset.Names) string {
	var list []string
	add := func(option string, negate bool, text string) {
		if m.given[option] {
			list = append(append(list, bang(negate)...), text)
		}
	}
	add("socket-exists", m.noSocket, "owner socket exists")
	uid, gid := m.uid.text(), m.gid.text()
	if names != nil && m.uid.lo == m.uid.hi {
		if name, ok := names.UserName(m.uid.lo); ok {
			uid = name
		}
	}
	if names != nil && m.gid.lo == m.gid.hi {
		if name, ok := names.GroupName(m.gid.lo); ok {
			gid = name
		}
	}
	add("uid-owner", m.uid.negate, "owner UID match "+uid)
	add("gid-owner", m.gid.negate, "owner GID match "+gid)
	add("suppl-groups", false, "incl. suppl. groups")
	return strings.Join(list, " ")
}
