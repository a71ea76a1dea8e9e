package match

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// recentKind is -m recent, revision 1 (net/netfilter/xt_recent.c).
var recentKind = &ruleset.MatchKind{
	Name:     "recent",
	Families: ruleset.Both,
	Doc:      "keeps lists of addresses with the times at which they were seen, and asks them",
	Options: []ruleset.Option{
		{Name: "set", Negate: true, Help: "put the address into the list; always yes"},
		{Name: "rcheck", Negate: true, Help: "is the address in the list?"},
		{Name: "update", Negate: true, Help: "as --rcheck, and if so note the time"},
		{Name: "remove", Negate: true, Help: "as --rcheck, and if so take the address out"},
		{Name: "seconds", NArgs: 1, Help: "with --rcheck and --update: seen within so many seconds"},
		{Name: "reap", Help: "with --seconds: drop the oldest address if it is older"},
		{Name: "hitcount", NArgs: 1, Help: "with --rcheck and --update: seen at least so often"},
		{Name: "rttl", Help: "with --rcheck and --update: with the same TTL as when it was put in"},
		{Name: "name", NArgs: 1, Help: "name of the list, DEFAULT if not given"},
		{Name: "rsource", Help: "the address is the source (default)"},
		{Name: "rdest", Help: "the address is the destination"},
		{Name: "mask", NArgs: 1, Help: "only these bits of addresses count"},
	},
	New: func() ruleset.MatchBuilder { return &recent{name: "DEFAULT"} },
}

var recentOps = []string{"set", "rcheck", "update", "remove"}

const (
	recentNameMax = 199   // XT_RECENT_NAME_LEN - 1
	recentHitsMax = 65535 // XT_RECENT_MAX_NSTAMPS - 1, since Linux 6.11; 255 before
)

// recent is -m recent.
type recent struct {
	given
	family  packet.Family
	op      pred.RecentOp
	negate  bool
	seconds uint32
	hits    uint32
	name    string
	dst     bool
	mask    [16]byte // valid if --mask is given, see maskBits
}

// Set takes one option.
func (m *recent) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	m.family = env.Family
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "seconds":
		m.seconds, err = number32(option, args[0], 1)
	case "hitcount":
		m.hits, err = number32(option, args[0], 0)
	case "name":
		m.name = cut(args[0], recentNameMax)
	case "rsource", "rdest":
		m.dst = option == "rdest"
	case "mask":
		var a netip.Addr
		a, err = parseHost(env, option, args[0])
		m.mask = bytes16(a)
	}
	for op, name := range recentOps {
		if option == name {
			m.op, m.negate = [...]pred.RecentOp{pred.RecentSet, pred.RecentCheck, pred.RecentUpdate, pred.RecentRemove}[op], negate
		}
	}
	return err
}

// Done is called after the last option.
func (m *recent) Done(env *ruleset.Env) error {
	m.family = env.Family
	used := []string{}
	for _, op := range recentOps {
		if m.given[op] {
			used = append(used, "--"+op)
		}
	}
	switch {
	case len(used) == 0:
		return ruleset.InWords(m.needOneOf(recentOps...), "recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'")
	case len(used) > 1:
		return ruleset.InWordsOf(fmt.Errorf("%s cannot be used together; use one", strings.Join(used, " and ")),
			"option \"%s\" cannot be used together with \"%s\".\n", used[0], used[1])
	}
	return cmp.Or(m.also("reap", "seconds"), m.notBoth("rttl", "set"), m.notBoth("rttl", "remove"))
}

// Match gives the match itself.
func (m *recent) Match() ruleset.Match { return m }

// KeepsSet is the list. Its mask is that of the first rule that names it.
func (m *recent) KeepsSet() *ruleset.Set {
	t := ruleset.KeyAddr4
	if m.family == packet.IPv6 {
		t = ruleset.KeyAddr6
	}
	return &ruleset.Set{
		Name: m.name, Type: []ruleset.KeyType{t}, Flags: ruleset.SetDynamic | ruleset.SetStamps | ruleset.SetKept,
		Size: recentRoom, Mask: m.maskBits(), Hits: []uint32{m.hits},
	}
}

// Word is "recent".
func (m *recent) Word() string { return "recent" }

// maskBits is the mask: all bits of an address of either family without --mask, as both may be in
// the list; of an IPv4 --mask the first four bytes alone (recent_parse_v1(), extensions/libxt_recent.c).
func (m *recent) maskBits() [16]byte {
	if m.given["mask"] {
		return m.mask
	}
	return prefixMask(packet.IPv6.Bits())
}

// ExactArgs has numbers beyond 2^31, which are printed as negative, and no mask where none was given
// for IPv4: with one, the list keeps but the first four bytes of IPv6 addresses.
func (m *recent) ExactArgs() []string {
	maskless := m.family == packet.IPv4 && !m.given["mask"]
	if int32(m.seconds) >= 0 && int32(m.hits) >= 0 && !maskless {
		return nil
	}
	args := m.Args()
	for option, n := range map[string]uint32{"--seconds": m.seconds, "--hitcount": m.hits} {
		if int32(n) < 0 {
			args[slices.Index(args, option)+1] = fmt.Sprint(n)
		}
	}
	if maskless {
		i := slices.Index(args, "--mask")
		args = slices.Delete(args, i, i+2)
	}
	return args
}

// Args prints as recent_save() of libxt_recent.c, which takes the numbers for signed.
func (m *recent) Args() []string {
	args := append([]string{"-m", "recent"}, bang(m.negate)...)
	for _, op := range recentOps {
		if m.given[op] {
			args = append(args, "--"+op)
		}
	}
	if m.seconds != 0 {
		args = append(args, "--seconds", fmt.Sprint(int32(m.seconds)))
	}
	if m.given["reap"] {
		args = append(args, "--reap")
	}
	if m.hits != 0 {
		args = append(args, "--hitcount", fmt.Sprint(int32(m.hits)))
	}
	if m.given["rttl"] {
		args = append(args, "--rttl")
	}
	side := "--rsource"
	if m.dst {
		side = "--rdest"
	}
	return append(args, "--name", m.name, "--mask", addrText(addrOf(m.family, m.maskBits())), side)
}

// Check is recent_mt_check().
func (m *recent) Check(*ruleset.Place) error {
	switch {
	case (m.op == pred.RecentSet || m.op == pred.RecentRemove) && (m.seconds != 0 || m.hits != 0 || m.given["rttl"] || m.given["reap"]):
		return fmt.Errorf("--seconds, --reap, --hitcount and --rttl are for --rcheck and --update; leave them out")
	case m.hits > recentHitsMax:
		return fmt.Errorf("--hitcount: %d is more than the %d that the kernel remembers", m.hits, recentHitsMax)
	}
	return procName("name", m.name)
}

// procName refuses names that cannot be files under /proc (xt_check_proc_name(),
// net/netfilter/x_tables.c).
func procName(option, name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("--%s: %q cannot be the name of a file; give one without /", option, name)
	}
	return nil
}

// recentStampsMax is how many time stamps the datapath keeps for an address.
const recentStampsMax = 256

// Lower gives the same in predicates.
func (m *recent) Lower(*ruleset.Place) pred.Pred {
	if pred.RecentStamps(m.hits, 0) > recentStampsMax {
		return pred.Unsupported{Reason: fmt.Sprintf("recent --hitcount %d needs more than the %d time stamps that the datapath keeps for an address", m.hits, recentStampsMax)}
	}
	return pred.Recent{
		List: m.name, Op: m.op, Dst: m.dst, Mask: m.maskBits(),
		Seconds: m.seconds, Hits: m.hits, TTL: m.given["rttl"], Reap: m.given["reap"], Negate: m.negate,
	}
}
