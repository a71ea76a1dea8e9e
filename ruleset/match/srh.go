package match

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// srhKind is -m srh, revision 1.
var srhKind = &ruleset.MatchKind{
	Name:     "srh",
	Families: ruleset.OnlyIPv6,
	Doc:      "the IPv6 segment routing header",
	Options:  srhOptions(),
	New:      func() ruleset.MatchBuilder { return &srh{} },
}

// srhNumbers are the options with a number, in the order in which they are
// printed. One number is kept for all options of a field: the last one counts.
var srhNumbers = []struct {
	option string
	field  int // index of srh.numbers
	op     string
	help   string
}{
	{"srh-next-hdr", 0, "eq", "the next header"},
	{"srh-hdr-len-eq", 1, "eq", "the length byte of the header"},
	{"srh-hdr-len-gt", 1, "gt", "the length byte is greater"},
	{"srh-hdr-len-lt", 1, "lt", "the length byte is less"},
	{"srh-segs-left-eq", 2, "eq", "segments left"},
	{"srh-segs-left-gt", 2, "gt", "more segments left"},
	{"srh-segs-left-lt", 2, "lt", "fewer segments left"},
	{"srh-last-entry-eq", 3, "eq", "the last entry of the list"},
	{"srh-last-entry-gt", 3, "gt", "the last entry is greater"},
	{"srh-last-entry-lt", 3, "lt", "the last entry is less"},
	{"srh-tag", 4, "eq", "the tag"},
}

// srhSIDs are the options with an address.
var srhSIDs = []struct{ option, help string }{
	{"srh-psid", "the segment before the active one"},
	{"srh-nsid", "the segment after the active one"},
	{"srh-lsid", "the last segment"},
}

func srhOptions() (options []ruleset.Option) {
	for _, n := range srhNumbers {
		options = append(options, ruleset.Option{Name: n.option, NArgs: 1, Negate: true, Help: n.help})
	}
	for _, s := range srhSIDs {
		options = append(options, ruleset.Option{Name: s.option, NArgs: 1, Negate: true, Help: s.help + ", address[/mask]"})
	}
	return options
}

// srh is -m srh.
type srh struct {
	given
	negate  given
	numbers [5]uint16
	sids    [3]hostMask
}

// Set takes one option.
func (m *srh) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	if m.negate == nil {
		m.negate = given{}
	}
	m.negate[option] = negate
	for i, s := range srhSIDs {
		if s.option == option {
			m.sids[i], err = parseHostMask(env, option, args[0])
			return err
		}
	}
	limit := uint64(255)
	if option == "srh-tag" {
		limit = 65535
	}
	v, err := number(option, args[0], 0, limit)
	for _, n := range srhNumbers {
		if n.option == option {
			m.numbers[n.field] = uint16(v)
		}
	}
	return err
}

// Done is called after the last option.
func (m *srh) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *srh) Match() ruleset.Match { return m }

// Word is "srh".
func (m *srh) Word() string { return "srh" }

// Args prints as srh1_save() of libip6t_srh.c.
func (m *srh) Args() []string {
	args := []string{"-m", "srh"}
	for _, n := range srhNumbers {
		if m.given[n.option] {
			args = append(append(args, bang(m.negate[n.option])...), "--"+n.option, fmt.Sprint(m.numbers[n.field]))
		}
	}
	for i, s := range srhSIDs {
		if m.given[s.option] {
			ones, _ := onesOf(m.sids[i].mask[:])
			args = append(append(args, bang(m.negate[s.option])...), "--"+s.option,
				fmt.Sprintf("%s/%d", addrText(addrOf(packet.IPv6, m.sids[i].addr)), ones))
		}
	}
	return args
}

// Check refuses nothing.
func (m *srh) Check(*ruleset.Place) error { return nil }

// Eval is srh1_mt6() of net/ipv6/netfilter/ip6t_srh.c: a cut header does not match.
// The tag is compared in the host's byte order, without turning it around.
func (m *srh) Eval(f *packet.Facts) pred.Answer {
	r := f.FindExt(extRouting)
	h, ok := f.Bytes(r.Off, 8)
	if r.State != packet.L4Found || !ok {
		return pred.No
	}
	if _, ok = f.Bytes(r.Off, (int(h[1])+1)*8); !ok || h[2] != 4 || h[3] > h[4] {
		return pred.No
	}
	fields := [5]uint16{uint16(h[0]), uint16(h[1]), uint16(h[3]), uint16(h[4]), binary.NativeEndian.Uint16(h[6:])}
	for _, n := range srhNumbers {
		if m.given[n.option] && srhCompare(n.op, fields[n.field], m.numbers[n.field]) == m.negate[n.option] {
			return pred.No
		}
	}
	return pred.Bool(m.sidsMatch(f, r.Off+8, int(h[3]), int(h[4])))
}

func srhCompare(op string, have, want uint16) bool {
	switch op {
	case "gt":
		return have > want
	case "lt":
		return have < want
	}
	return have == want
}

// sidsMatch asks for the segments around the active one; there is none before the
// first or after the last.
func (m *srh) sidsMatch(f *packet.Facts, list, left, last int) bool {
	index := [3]int{left + 1, left - 1, 0}
	absent := [3]bool{left == last, left == 0, false}
	for i, s := range srhSIDs {
		if !m.given[s.option] {
			continue
		}
		b, ok := f.Bytes(list+16*index[i], 16)
		if absent[i] || !ok || m.sids[i].contains(netip.AddrFrom16([16]byte(b))) == m.negate[s.option] {
			return false
		}
	}
	return true
}

// Lower has no predicate that compares two fields of a packet.
func (m *srh) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "it compares segments left with the last entry (srh1_mt6(), net/ipv6/netfilter/ip6t_srh.c)"}
}
