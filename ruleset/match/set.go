package match

import (
	"fmt"
	"math"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// setKind is -m set, revision 4 (net/netfilter/xt_set.c).
var setKind = &ruleset.MatchKind{
	Name:     "set",
	Families: ruleset.Both,
	Doc:      "is the packet in a named set of ipset?",
	Options: []ruleset.Option{
		{Name: "match-set", NArgs: 2, Negate: true, Help: "name of the set, then src or dst for each of its dimensions, as src,dst"},
		{Name: "set", NArgs: 2, Negate: true, Help: "old name of --match-set"},
		{Name: "return-nomatch", Help: "entries marked nomatch count as found"},
		{Name: "update-counters", Negate: true, Help: "negated: do not count in the set"},
		{Name: "update-subcounters", Negate: true, Help: "negated: do not count in the sets of a list"},
		{Name: "packets-eq", NArgs: 1, Negate: true, Help: "the entry has counted so many packets"},
		{Name: "packets-lt", NArgs: 1, Help: "the entry has counted fewer packets"},
		{Name: "packets-gt", NArgs: 1, Help: "the entry has counted more packets"},
		{Name: "bytes-eq", NArgs: 1, Negate: true, Help: "the entry has counted so many bytes"},
		{Name: "bytes-lt", NArgs: 1, Help: "the entry has counted fewer bytes"},
		{Name: "bytes-gt", NArgs: 1, Help: "the entry has counted more bytes"},
	},
	New: func() ruleset.MatchBuilder { return &set{} },
}

const (
	setNameMax = 31 // IPSET_MAXNAMELEN - 1
	setDims    = 6  // IPSET_DIM_MAX
)

// set is -m set. It has no given: iptables lets most options be repeated.
type set struct {
	unseen
	name           string
	sides          []string // "src" or "dst"
	negate         bool
	nomatch        bool
	skip, skipSub  bool
	packets, bytes setCounter
}

// setCounter is a condition on a counter; op is "eq", "lt" or "gt", empty without.
type setCounter struct {
	op     string
	value  uint64
	negate bool
}

// Set takes one option.
func (m *set) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if option == "set" {
		env.Warning("--set option deprecated, please use --match-set")
	}
	switch option {
	case "match-set", "set":
		return m.setName(negate, args[0], args[1])
	case "return-nomatch":
		m.nomatch = true
	case "update-counters":
		m.skip = m.skip || negate
	case "update-subcounters":
		m.skipSub = m.skipSub || negate
	default:
		kind, op, _ := strings.Cut(option, "-")
		c := &m.packets
		if kind == "bytes" {
			c = &m.bytes
		}
		if c.op != "" {
			return ruleset.InWords(fmt.Errorf("only one of --%s-eq, --%s-lt and --%s-gt can be used", kind, kind, kind), "only one of the --%s-[eq|lt|gt] is allowed", kind)
		}
		v, err := number(option, args[0], 0, math.MaxUint64)
		err = ruleset.InWords(err, "Cannot parse %s as a counter value", args[0])
		*c = setCounter{op, v, negate}
		return err
	}
	return nil
}

func (m *set) setName(negate bool, name, sides string) error {
	if m.sides != nil {
		return ruleset.InWords(fmt.Errorf("--match-set is given twice; it can be used once"), "--match-set can be specified only once")
	}
	if len(name) > setNameMax {
		return ruleset.InWords(fmt.Errorf("--match-set: the name %q has %d characters, at most %d allowed", name, len(name), setNameMax), "setname `%s' too long, max %d characters.", name, setNameMax)
	}
	m.name, m.negate = name, negate
	for _, s := range strings.Split(sides, ",") {
		if !strings.HasPrefix(s, "src") && !strings.HasPrefix(s, "dst") {
			return ruleset.InWords(fmt.Errorf("--match-set: %q is neither src nor dst", s), "You must spefify (the comma separated list of) 'src' or 'dst'.")
		}
		m.sides = append(m.sides, s[:3])
	}
	if len(m.sides) > setDims {
		return ruleset.InWords(fmt.Errorf("--match-set: %d sides given, at most %d allowed", len(m.sides), setDims), "Can't be more src/dst options than %d.", setDims)
	}
	return nil
}

// Done is called after the last option.
func (m *set) Done(*ruleset.Env) error {
	if m.sides == nil {
		return ruleset.InWords(fmt.Errorf("--match-set is missing"), "You must specify `--match-set' with proper arguments")
	}
	return nil
}

// Match gives the match itself.
func (m *set) Match() ruleset.Match { return m }

// Word is "set".
func (m *set) Word() string { return "set" }

// KernelSet is the set that is asked.
func (m *set) KernelSet() string { return m.name }

// Args prints as set_save_v4() of libxt_set.c.
func (m *set) Args() []string {
	args := append([]string{"-m", "set"}, bang(m.negate)...)
	args = append(args, "--match-set", m.name, strings.Join(m.sides, ","))
	if m.nomatch {
		args = append(args, "--return-nomatch")
	}
	if m.skip {
		args = append(args, "!", "--update-counters")
	}
	if m.skipSub {
		args = append(args, "!", "--update-subcounters")
	}
	args = append(args, m.packets.args("--packets-")...)
	return append(args, m.bytes.args("--bytes-")...)
}

func (c setCounter) args(prefix string) []string {
	if c.op == "" {
		return nil
	}
	return append(bang(c.negate), prefix+c.op, fmt.Sprint(c.value))
}

// Check refuses nothing here; that the set is there is the kernel's to see when the
// rule is loaded.
func (m *set) Check(*ruleset.Place) error { return nil }

// Lower says why BPF cannot do it.
func (m *set) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "set " + m.name + " is a set of the kernel's ipset (set_match_v4(), net/netfilter/xt_set.c), which BPF cannot ask"}
}
