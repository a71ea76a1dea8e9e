package target

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var tcpoptstripKind = &ruleset.TargetKind{
	Name:     "TCPOPTSTRIP",
	Families: ruleset.Both,
	Doc:      "overwrite TCP options with no-operations",
	Options: []ruleset.Option{
		{Name: "strip-options", NArgs: 1, Help: "OPTION,...: numbers from 2 or wscale, mss, sack-permitted, sack, timestamp, md5"},
	},
	New: func() ruleset.TargetBuilder { return &TCPOptStrip{} },
}

var tcpOptionNames = map[string]uint8{
	"mss": 2, "wscale": 3, "sack-permitted": 4, "sack": 5, "timestamp": 8, "md5": 19,
}

// TCPOptStrip is -j TCPOPTSTRIP.
type TCPOptStrip struct {
	used
	Kinds [256]bool
}

// Set takes --strip-options.
func (t *TCPOptStrip) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := t.once(option, negate); err != nil {
		return err
	}
	for _, s := range strings.Split(args[0], ",") {
		kind, ok := tcpOptionNames[s]
		if !ok {
			n, err := number(s, 0, 0xff)
			switch {
			case err == nil && n < 2:
				return ruleset.InWords(fmt.Errorf("bad TCP option %d; it ends the list of options, or pads it", n), "Option value may not be 0 or 1")
			case err != nil:
				return ruleset.InWords(fmt.Errorf("bad TCP option %q; a number from 2 to 255 or wscale, mss, sack-permitted, sack, timestamp, md5", s), "Bad TCP option value \"%s\"", s)
			}
			kind = uint8(n)
		}
		if t.Kinds[kind] {
			return ruleset.InWords(fmt.Errorf("TCP option %q is given twice; give it once", s), "Option \"%s\" already specified", s)
		}
		t.Kinds[kind] = true
	}
	return nil
}

// Done has nothing to check: iptables takes TCPOPTSTRIP without options.
func (t *TCPOptStrip) Done(*ruleset.Env) error { return nil }

// Target gives the target that was built.
func (t *TCPOptStrip) Target() ruleset.Target { return t }

// Word is the name after -j.
func (t *TCPOptStrip) Word() string { return "TCPOPTSTRIP" }

// Args is the text after -j.
func (t *TCPOptStrip) Args() []string {
	list := t.list(nil)
	if list == "" {
		return []string{"TCPOPTSTRIP"}
	}
	return []string{"TCPOPTSTRIP", "--strip-options", list}
}

func (t *TCPOptStrip) list(names map[uint8]string) string {
	var set []string
	for kind, on := range t.Kinds {
		if !on {
			continue
		}
		s, ok := names[uint8(kind)]
		if !ok {
			s = decimal(uint8(kind))
		}
		set = append(set, s)
	}
	return strings.Join(set, ",")
}

// List is the text of iptables -L.
func (t *TCPOptStrip) List(names ruleset.Names) string {
	var byKind map[uint8]string
	if names != nil {
		byKind = make(map[uint8]string, len(tcpOptionNames))
		for name, kind := range tcpOptionNames {
			byKind[kind] = name
		}
	}
	if list := t.list(byKind); list != "" {
		return "TCPOPTSTRIP options " + list
	}
	return ""
}

// Check refuses other tables and protocols (net/netfilter/xt_TCPOPTSTRIP.c).
func (t *TCPOptStrip) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityMangle); err != nil {
		return err
	}
	return onlyProto(in, "TCPOPTSTRIP", protoTCP)
}

// Lower gives the change.
func (t *TCPOptStrip) Lower(*ruleset.Place) pred.Action {
	var e pred.StripTCPOptions
	for kind, on := range t.Kinds {
		if on {
			e.Kinds[kind/64] |= 1 << (kind % 64)
		}
	}
	return pred.Doing(e)
}

func tcpoptstripOf(e pred.StripTCPOptions) *TCPOptStrip {
	t := &TCPOptStrip{}
	for kind := range t.Kinds {
		t.Kinds[kind] = e.Has(uint8(kind))
	}
	return t
}
