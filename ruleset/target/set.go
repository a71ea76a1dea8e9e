package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var setKind = &ruleset.TargetKind{
	Name:     "SET",
	Families: ruleset.Both,
	Doc:      "add the packet's addresses to a set, or remove them",
	Options: []ruleset.Option{
		{Name: "add-set", NArgs: 2, Help: "SET src|dst,...: add to this set"},
		{Name: "del-set", NArgs: 2, Help: "SET src|dst,...: remove from this set"},
		{Name: "exist", Help: "with --add-set: renew the timeout of what is in the set already"},
		{Name: "timeout", NArgs: 1, Help: "with --add-set: seconds until it leaves the set"},
		{Name: "map-set", NArgs: 2, Help: "SET src|dst,...: take values from this set"},
		{Name: "map-mark", Help: "with --map-set: the mark"},
		{Name: "map-prio", Help: "with --map-set: the queueing class"},
		{Name: "map-queue", Help: "with --map-set: the hardware queue"},
	},
	New: func() ruleset.TargetBuilder { return &Set{} },
}

// Limits of include/uapi/linux/netfilter/ipset/ip_set.h.
const (
	setNameSize = 32
	setDims     = 6
)

// SetUse is a set and the parts of the packet that are looked up in it.
type SetUse struct {
	Name string   // empty: not given
	Dirs []string // src or dst
}

// Set is -j SET.
type Set struct {
	used
	Add, Del, Map                SetUse
	Exist                        bool
	HasTimeout                   bool
	Timeout                      uint32
	MapMark, MapPrio, MapHWQueue bool
}

// Set takes one option. Only the sets may not be given twice (set_target_parse_v3()
// in libxt_SET.c of iptables).
func (s *Set) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if negate || strings.HasSuffix(option, "-set") {
		if err := s.once(option, negate); err != nil {
			return ruleset.InWords(err, "--%s can be specified only once", option)
		}
	}
	var err error
	switch option {
	case "add-set":
		s.Add, err = setUse(args)
	case "del-set":
		s.Del, err = setUse(args)
	case "map-set":
		s.Map, err = setUse(args)
	case "exist":
		s.Exist = true
	case "timeout":
		var n uint64
		n, err = number(args[0], 0, maxUint32-1)
		err = ruleset.InWords(err, "Invalid value for option --timeout or out of range 0-%d", uint32(maxUint32-1))
		s.HasTimeout, s.Timeout = true, uint32(n)
	case "map-mark":
		s.MapMark = true
	case "map-prio":
		s.MapPrio = true
	case "map-queue":
		s.MapHWQueue = true
	}
	return err
}

// setUse reads the name of a set and its directions; only the first three letters
// of each count (parse_dirs() in libxt_set.h of iptables).
func setUse(args []string) (SetUse, error) {
	u := SetUse{Name: args[0]}
	if u.Name == "" || len(u.Name) >= setNameSize {
		return u, ruleset.InWords(fmt.Errorf("set name %q has %d characters; 1 to %d are allowed", u.Name, len(u.Name), setNameSize-1), "setname `%s' too long, max %d characters.", u.Name, setNameSize-1)
	}
	for _, d := range strings.Split(args[1], ",") {
		switch {
		case strings.HasPrefix(d, "src"), strings.HasPrefix(d, "dst"):
			u.Dirs = append(u.Dirs, d[:3])
		default:
			return u, ruleset.InWords(fmt.Errorf("direction %q is neither src nor dst; give a comma separated list of them", d), "You must spefify (the comma separated list of) 'src' or 'dst'.")
		}
	}
	if len(u.Dirs) > setDims {
		return u, ruleset.InWords(fmt.Errorf("%d directions given, at most %d allowed", len(u.Dirs), setDims), "Can't be more src/dst options than %d.", setDims)
	}
	return u, nil
}

// Done refuses options without the set that they are for.
func (s *Set) Done(*ruleset.Env) error {
	maps := s.MapMark || s.MapPrio || s.MapHWQueue
	switch {
	case s.Add.Name == "" && s.Del.Name == "" && s.Map.Name == "":
		return ruleset.InWords(errors.New("no set is given; give --add-set, --del-set or --map-set"), "You must specify either `--add-set' or `--del-set' or `--map-set'")
	case s.Add.Name == "" && s.Exist:
		return ruleset.InWords(errors.New("--exist can be used with --add-set only"), "Flag `--exist' can be used with `--add-set' only")
	case s.Add.Name == "" && s.HasTimeout:
		return ruleset.InWords(errors.New("--timeout can be used with --add-set only"), "Option `--timeout' can be used with `--add-set' only")
	case s.Map.Name == "" && maps:
		return s.mapOnly()
	case s.Map.Name != "" && !maps:
		return ruleset.InWords(errors.New("--map-set without use; give --map-mark, --map-prio or --map-queue"), "You must specify flags `--map-mark' or '--map-prio` or `--map-queue'")
	}
	return nil
}

// mapOnly refuses what is for --map-set alone.
func (s *Set) mapOnly() error {
	option := "map-queue"
	switch {
	case s.MapMark:
		option = "map-mark"
	case s.MapPrio:
		option = "map-prio"
	}
	return ruleset.InWords(fmt.Errorf("--%s can be used with --map-set only", option), "Flag `--%s' can be used with `--map-set' only", option)
}

// Target gives the target that was built.
func (s *Set) Target() ruleset.Target { return s }

// Word is the name after -j.
func (s *Set) Word() string { return "SET" }

// Args is the text after -j.
func (s *Set) Args() []string { return append([]string{"SET"}, s.options("--")...) }

func (s *Set) options(dashes string) []string {
	var a []string
	add := func(when bool, words ...string) {
		if when {
			a = append(append(a, dashes+words[0]), words[1:]...)
		}
	}
	use := func(option string, u SetUse) {
		add(u.Name != "", option, u.Name, strings.Join(u.Dirs, ","))
	}
	use("add-set", s.Add)
	add(s.Exist, "exist")
	add(s.HasTimeout, "timeout", decimal(s.Timeout))
	use("del-set", s.Del)
	use("map-set", s.Map)
	add(s.MapMark, "map-mark")
	add(s.MapPrio, "map-prio")
	add(s.MapHWQueue, "map-queue")
	return a
}

// List is the text of iptables -L.
func (s *Set) List(ruleset.Names) string { return strings.Join(s.options(""), " ") }

// Check refuses --map-set where its values have no use (set_target_v3_checkentry(),
// net/netfilter/xt_set.c). That the sets exist is known only when the rule is
// loaded.
func (s *Set) Check(in *ruleset.Place) error {
	if s.Map.Name == "" {
		return nil
	}
	var misplaced *ruleset.MisplacedError
	if err := in.OnlyAt(ruleset.PriorityMangle); errors.As(err, &misplaced) {
		misplaced.Option = "--map-set"
		return misplaced
	}
	if s.MapPrio || s.MapHWQueue {
		return onlyHooks(in, packet.Forward, packet.Output, packet.Postrouting)
	}
	return nil
}

// Lower gives the change of sets.
func (s *Set) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.ChangeKernelSet{
		Add: s.Add.key(), Del: s.Del.key(), Map: s.Map.key(), Exist: s.Exist, HasTimeout: s.HasTimeout, Timeout: s.Timeout,
		MapMark: s.MapMark, MapPriority: s.MapPrio, MapQueue: s.MapHWQueue,
	})
}

func (u SetUse) key() pred.KernelSetKey {
	return pred.KernelSetKey{Set: u.Name, Dirs: strings.Join(u.Dirs, ",")}
}

func setOf(e pred.ChangeKernelSet) *Set {
	return &Set{
		Add: setUseOf(e.Add), Del: setUseOf(e.Del), Map: setUseOf(e.Map), Exist: e.Exist, HasTimeout: e.HasTimeout, Timeout: e.Timeout,
		MapMark: e.MapMark, MapPrio: e.MapPriority, MapHWQueue: e.MapQueue,
	}
}

func setUseOf(k pred.KernelSetKey) SetUse {
	return SetUse{Name: k.Set, Dirs: strings.Split(k.Dirs, ",")}
}
