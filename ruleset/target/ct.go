package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var ctKind = &ruleset.TargetKind{
	Name:     "CT",
	Families: ruleset.Both,
	Doc:      "say how the connection of the packet is to be tracked",
	Options: []ruleset.Option{
		{Name: "notrack", Help: "do not track it"},
		{Name: "helper", NArgs: 1, Help: "use this conntrack helper"},
		{Name: "timeout", NArgs: 1, Help: "use this timeout policy"},
		{Name: "ctevents", NArgs: 1, Help: "EVENT,...: report only these events of the connection"},
		{Name: "expevents", NArgs: 1, Help: "EVENT,...: report only these events of expectations: new"},
		{Name: "zone-orig", NArgs: 1, Help: "as --zone, for the original direction only"},
		{Name: "zone-reply", NArgs: 1, Help: "as --zone, for the reply direction only"},
		{Name: "zone", NArgs: 1, Help: "number of the zone, 0 to 65535, or mark: the mark of the packet"},
	},
	New: func() ruleset.TargetBuilder { return &CT{} },
}

// Sizes of the names in struct xt_ct_target_info_v1
// (include/uapi/linux/netfilter/xt_CT.h).
const (
	ctHelperSize  = 16
	ctTimeoutSize = 32
)

// ctEvents are the events of connections in the order of their bits (enum
// ip_conntrack_events, include/uapi/linux/netfilter/nf_conntrack_common.h).
var ctEvents = []string{
	"new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark",
}

var expectEvents = []string{"new"}

// CT is -j CT.
type CT struct {
	used
	NoTrack           bool
	Helper, Timeout   string
	Events, ExpEvents uint32 // bits, in the order of ctEvents and expectEvents
	Zone              uint16
	ZoneMark          bool // the zone is the mark
	OrigOnly, Reply   bool // the zone is for this direction; both: for both
}

// Set takes one option.
func (c *CT) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := c.once(option, negate); err != nil {
		return err
	}
	var err error
	switch option {
	case "notrack":
		c.NoTrack = true
	case "helper":
		c.Helper = cut(args[0], ctHelperSize)
	case "timeout":
		c.Timeout = cut(args[0], ctTimeoutSize)
	case "ctevents":
		c.Events, err = events(ctEvents, args[0])
	case "expevents":
		c.ExpEvents, err = events(expectEvents, args[0])
	default:
		err = c.setZone(option, args[0])
	}
	return err
}

func events(names []string, list string) (mask uint32, err error) {
next:
	for _, e := range strings.Split(list, ",") {
		for bit, name := range names {
			if e == name {
				mask |= 1 << bit
				continue next
			}
		}
		return 0, ruleset.InWords(fmt.Errorf("unknown event type %q; one of %s", e, strings.Join(names, ",")), "Unknown event type \"%s\"", e)
	}
	return mask, nil
}

// setZone reads a zone; a later one replaces the number but keeps the directions
// (ct_parse_zone_id() of iptables).
func (c *CT) setZone(option, arg string) error {
	c.OrigOnly = c.OrigOnly || option == "zone-orig"
	c.Reply = c.Reply || option == "zone-reply"
	c.Zone = 0
	if strings.EqualFold(arg, "mark") {
		c.ZoneMark = true
		return nil
	}
	n, err := number(arg, 0, 0xffff)
	c.Zone = uint16(n)
	return ruleset.InWords(err, "Cannot parse %s as a zone ID", arg)
}

// Done has nothing to check: iptables takes CT without options.
func (c *CT) Done(*ruleset.Env) error { return nil }

// Target gives the target that was built.
func (c *CT) Target() ruleset.Target { return c }

// Word is the name after -j.
func (c *CT) Word() string { return "CT" }

// Args is the text after -j.
func (c *CT) Args() []string { return append([]string{"CT"}, c.options("--")...) }

// ExactArgs has the zones as ct_print_zone() of libxt_CT.c does not print them: number 0,
// both directions, and a number behind "mark".
func (c *CT) ExactArgs() []string {
	both := c.OrigOnly && c.Reply
	if !both && (c.ZoneMark == (c.Zone == 0) || c.Zone == 0 && !c.OrigOnly && !c.Reply) {
		return nil
	}
	plain := *c
	plain.Zone, plain.ZoneMark = 0, false
	first, last := decimal(c.Zone), decimal(c.Zone)
	if c.ZoneMark {
		first = "mark"
		if c.Zone == 0 {
			last = first
		}
	}
	args := plain.Args()
	switch {
	case both:
		return append(args, "--zone-orig", first, "--zone-reply", last)
	case c.ZoneMark && c.OrigOnly:
		return append(args, "--zone-orig", first, "--zone", last)
	case c.ZoneMark:
		return append(args, "--zone-reply", first, "--zone", last)
	case c.OrigOnly:
		return append(args, "--zone-orig", first)
	}
	return append(args, "--zone-reply", first)
}

func (c *CT) options(dashes string) []string {
	var a []string
	add := func(when bool, name string, values ...string) {
		if when {
			a = append(append(a, dashes+name), values...)
		}
	}
	add(c.NoTrack, "notrack")
	add(c.Helper != "", "helper", c.Helper)
	add(c.Timeout != "", "timeout", c.Timeout)
	add(c.Events != 0, "ctevents", eventList(ctEvents, c.Events))
	add(c.ExpEvents != 0, "expevents", eventList(expectEvents, c.ExpEvents))
	if !c.ZoneMark && c.Zone == 0 {
		return a
	}
	name := "zone"
	if c.OrigOnly != c.Reply {
		name = map[bool]string{true: "zone-orig", false: "zone-reply"}[c.OrigOnly]
	}
	if c.ZoneMark {
		return append(a, dashes+name, "mark")
	}
	return append(a, dashes+name, decimal(c.Zone))
}

func eventList(names []string, mask uint32) string {
	var set []string
	for bit, name := range names {
		if mask&(1<<bit) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}

// List is the text of iptables -L.
func (c *CT) List(ruleset.Names) string {
	return strings.Join(append([]string{"CT"}, c.options("")...), " ")
}

// Check refuses other tables than raw, and a helper or timeout policy without a
// protocol (xt_ct_find_proto(), net/netfilter/xt_CT.c). That the helper or policy
// exists is known only when the rule is loaded.
func (c *CT) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityRaw); err != nil {
		return err
	}
	proto, negate, named := in.Proto()
	if !c.NoTrack && (c.Helper != "" || c.Timeout != "") && (!named || negate || proto == 0) {
		return errors.New("a helper or timeout needs a protocol; add -p that is not negated")
	}
	return nil
}

// NeedsConntrack says yes but for --notrack (xt_ct_tg_check(),
// net/netfilter/xt_CT.c).
func (c *CT) NeedsConntrack() bool { return !c.NoTrack }

// GivesHelper says whether connections get a helper.
func (c *CT) GivesHelper() bool { return !c.NoTrack && c.Helper != "" }

// Lower gives the change. --notrack makes the kernel forget the other options
// (xt_ct_tg_check(), net/netfilter/xt_CT.c).
func (c *CT) Lower(in *ruleset.Place) pred.Action {
	if c.NoTrack {
		return pred.Doing(pred.NoTrack{})
	}
	e := pred.Track{
		Helper: c.Helper, Timeout: c.Timeout, Events: c.Events, ExpectEvents: c.ExpEvents, ZoneFromMark: c.ZoneMark,
	}
	if !c.ZoneMark {
		e.Zone = c.Zone
	}
	if proto, negate, named := in.Proto(); named && !negate && c.Helper+c.Timeout != "" {
		e.Proto = proto
	}
	switch {
	case c.OrigOnly == c.Reply || !e.HasZone():
	case c.OrigOnly:
		e.ZoneOf = pred.ZoneOriginal
	default:
		e.ZoneOf = pred.ZoneReply
	}
	return pred.Doing(e)
}

func ctOf(e pred.Track) *CT {
	return &CT{
		Helper: e.Helper, Timeout: e.Timeout, Events: e.Events, ExpEvents: e.ExpectEvents, Zone: e.Zone, ZoneMark: e.ZoneFromMark,
		OrigOnly: e.ZoneOf == pred.ZoneOriginal, Reply: e.ZoneOf == pred.ZoneReply,
	}
}
