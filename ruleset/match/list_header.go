package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// List is addrtype_print_v1() of libxt_addrtype.c.
func (m *addrtype) List(ruleset.Names) string {
	s := "ADDRTYPE match"
	for _, side := range []struct {
		label string
		of    addrtypeSide
	}{{" src-type ", m.src}, {" dst-type ", m.dst}} {
		if args := side.of.args(""); len(args) > 0 {
			s += side.label + not(side.of.negate) + args[len(args)-1]
		}
	}
	if m.given["limit-iface-in"] {
		s += " limit-in"
	}
	if m.given["limit-iface-out"] {
		s += " limit-out"
	}
	return s
}

// List is cluster_print() of libxt_cluster.c.
func (m *cluster) List(ruleset.Names) string {
	return fmt.Sprintf("cluster %snode_mask=0x%08x total_nodes=%d hash_seed=0x%08x", not(m.negate), m.mask, m.total, m.seed)
}

// List is comment_print() of libxt_comment.c.
func (m *comment) List(ruleset.Names) string { return "/* " + m.text + " */" }

// List is cpu_print() of libxt_cpu.c.
func (m *cpu) List(ruleset.Names) string {
	return strings.Join(append(append([]string{"cpu"}, bang(m.negate)...), fmt.Sprint(m.want)), " ")
}

// list is xtables_print_val_mask(): a name only without -n.
func (nm namedMask) list(names ruleset.Names) string {
	if names == nil {
		return nm.valueMask.String()
	}
	return nm.String()
}

// List is devgroup_show() of libxt_devgroup.c.
func (m *devgroup) List(names ruleset.Names) string {
	var list []string
	if m.given["src-group"] {
		list = append(append(list, bang(m.src.negate)...), "src-group", m.src.list(names))
	}
	if m.given["dst-group"] {
		list = append(append(list, bang(m.dst.negate)...), "dst-group", m.dst.list(names))
	}
	return strings.Join(list, " ")
}

// List is realm_print() of libipt_realm.c.
func (m *realm) List(names ruleset.Names) string {
	return strings.Join(append(bang(m.negate), "realm", m.want.list(names)), " ")
}

// List is dscp_print() of libxt_dscp.c.
func (m *dscp) List(ruleset.Names) string {
	return fmt.Sprintf("DSCP match %s0x%02x", not(m.negate), m.value)
}

// List is ecn_print() of libxt_ecn.c.
func (m *ecn) List(ruleset.Names) string {
	s := "ECN match"
	for _, o := range []struct{ option, text string }{
		{"ecn-tcp-ece", "ECE"}, {"ecn-tcp-cwr", "CWR"}, {"ecn-ip-ect", fmt.Sprintf("ECT=%d", m.ect)},
	} {
		if m.given[o.option] {
			s += " " + not(m.negate[o.option]) + o.text
		}
	}
	return s
}

// List is tos_mt_print() of libxt_tos.c.
func (m *tos) List(names ruleset.Names) string {
	s := "tos match" + not(m.negate)
	if names != nil && m.mask == 0x3f {
		for _, n := range tosNames {
			if n.value == m.value {
				return s + " " + n.name
			}
		}
	}
	return s + fmt.Sprintf("0x%02x/0x%02x", m.value, m.mask)
}

// List is ttl_print() of libipt_ttl.c and hl_print() of libip6t_hl.c.
func (m *hopLimit) List(ruleset.Names) string {
	op := "=="
	switch {
	case strings.HasSuffix(m.option, "lt"):
		op = "<"
	case strings.HasSuffix(m.option, "gt"):
		op = ">"
	case m.negate:
		op = "!="
	}
	name := strings.ToUpper(m.word)
	return fmt.Sprintf("%s match %s %s %d", name, name, op, m.limit)
}

// List is length_print() of libxt_length.c.
func (m *length) List(ruleset.Names) string {
	return "length " + not(m.negate) + rangeText(m.lo, m.hi)
}

// List is tcpmss_print() of libxt_tcpmss.c.
func (m *tcpmss) List(ruleset.Names) string {
	return "tcpmss match " + not(m.negate) + rangeText(m.lo, m.hi)
}

func rangeText(lo, hi uint16) string {
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d:%d", lo, hi)
}

// List is iprange_mt4_print() and iprange_mt6_print() of libxt_iprange.c.
func (m *iprange) List(ruleset.Names) string {
	var list []string
	add := func(option, label string, r addrRange) {
		if m.given[option] {
			args := r.args("")
			list = append(append(append(list, label), bang(r.negate)...), args[len(args)-1])
		}
	}
	add("src-range", "source IP range", m.src)
	add("dst-range", "destination IP range", m.dst)
	return strings.Join(list, " ")
}

// List is mac_print() of libxt_mac.c.
func (m *mac) List(ruleset.Names) string {
	args := m.Args()
	return strings.Join(append(append([]string{"MAC"}, bang(m.negate)...), args[len(args)-1]), " ")
}

// List is physdev_print() of libxt_physdev.c.
func (m *physdev) List(ruleset.Names) string {
	return strings.Join(append([]string{"PHYSDEV match"}, m.Args()[2:]...), " ")
}

// List is pkttype_print() of libxt_pkttype.c.
func (m *pkttype) List(ruleset.Names) string {
	return fmt.Sprintf("PKTTYPE %s= %s", not(m.negate), pkttypes[m.want])
}

// List is dst_print() of libip6t_dst.c and hbh_print() of libip6t_hbh.c.
func (m *options6) List(ruleset.Names) string {
	s := m.word
	if m.given[m.word+"-len"] {
		s += fmt.Sprintf(" length:%s%d", not(m.negateLen), m.length)
	}
	if m.given[m.word+"-opts"] {
		args := m.Args()
		s += " opts " + args[len(args)-1]
	}
	return s
}

// List is frag_print() of libip6t_frag.c.
func (m *frag) List(ruleset.Names) string {
	s := "frag " + m.id.list("id")
	if m.given["fraglen"] {
		s += fmt.Sprintf(" length:%s%d", not(m.negateLen), m.length)
	}
	for _, o := range []struct{ option, text string }{
		{"fragres", " reserved"}, {"fragfirst", " first"}, {"fragmore", " more"}, {"fraglast", " last"},
	} {
		if m.given[o.option] {
			s += o.text
		}
	}
	return s
}

// List is rt_print() of libip6t_rt.c.
func (m *rt) List(ruleset.Names) string {
	s := "rt"
	if m.given["rt-type"] {
		s += fmt.Sprintf(" type:%s%d", not(m.negateKind), m.kind)
	}
	s += spaced(m.segsLeft.list("segsleft"))
	if m.given["rt-len"] {
		s += fmt.Sprintf(" length:%s%d", not(m.negateLen), m.length)
	}
	if m.given["rt-0-res"] {
		s += " reserved"
	}
	if m.given["rt-0-addrs"] {
		s += " 0-addrs"
		for i, a := range m.addrs {
			s += string(" ,"[min(i, 1)]) + addrText(a)
		}
	}
	if m.given["rt-0-not-strict"] {
		s += " 0-not-strict"
	}
	return s
}

// List is ipv6header_print() of libip6t_ipv6header.c.
func (m *ipv6header) List(names ruleset.Names) string {
	s := "ipv6header"
	if m.mask != 0 || m.negate {
		s += " flags:" + not(m.negate)
		if names == nil {
			s += fmt.Sprintf("0x%02X", m.mask)
		} else {
			s += m.names
		}
	}
	if m.given["soft"] {
		s += " soft"
	}
	return s
}

// List is srh1_print() of libip6t_srh.c.
func (m *srh) List(ruleset.Names) string {
	s := "srh"
	for _, n := range srhNumbers {
		if m.given[n.option] {
			label := strings.TrimPrefix(n.option, "srh-")
			s += fmt.Sprintf(" %s:%s%d", label, not(m.negate[n.option]), m.numbers[n.field])
		}
	}
	for i, sid := range srhSIDs {
		if m.given[sid.option] {
			ones, _ := onesOf(m.sids[i].mask[:])
			s += fmt.Sprintf(" %s %s %s/%d", strings.TrimPrefix(sid.option, "srh-"), not(m.negate[sid.option]), addrText(addrOf(6, m.sids[i].addr)), ones)
		}
	}
	return s
}
