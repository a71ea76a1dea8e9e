package target

import (
	"cmp"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var ttlKind = &ruleset.TargetKind{
	Name:     "TTL",
	Families: ruleset.OnlyIPv4,
	Doc:      "change the time to live of the packet",
	Options:  hopOptions("ttl"),
	New:      func() ruleset.TargetBuilder { return &HopLimit{word: "TTL"} },
}

func hopOptions(prefix string) []ruleset.Option {
	return []ruleset.Option{
		{Name: prefix + "-set", NArgs: 1, Help: "set it to this value, 0 to 255"},
		{Name: prefix + "-dec", NArgs: 1, Help: "make it smaller by 1 to 255"},
		{Name: prefix + "-inc", NArgs: 1, Help: "make it greater by 1 to 255"},
	}
}

// HopLimit is -j TTL or -j HL.
type HopLimit struct {
	used
	word  string
	Op    string // set, dec or inc
	Value uint8
}

// Set takes one option.
func (h *HopLimit) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := h.once(option, negate); err != nil {
		return err
	}
	_, h.Op, _ = strings.Cut(option, "-")
	least := uint64(1)
	if h.Op == "set" {
		least = 0
	}
	n, err := number(args[0], least, 0xff)
	h.Value = uint8(n)
	return err
}

// Done asks for one operation.
func (h *HopLimit) Done(*ruleset.Env) error {
	p := strings.ToLower(h.word)
	ops := []string{p + "-set", p + "-dec", p + "-inc"}
	return cmp.Or(ruleset.InWords(h.need(ops...), "%s: You must specify an action", h.Word()), h.exclusive(ops...))
}

// Target gives the target that was built.
func (h *HopLimit) Target() ruleset.Target { return h }

// Word is the name after -j.
func (h *HopLimit) Word() string { return h.word }

// Args is the text after -j.
func (h *HopLimit) Args() []string {
	return []string{h.word, "--" + strings.ToLower(h.word) + "-" + h.Op, decimal(h.Value)}
}

// List is the text of iptables -L.
func (h *HopLimit) List(ruleset.Names) string {
	op := map[string]string{"set": "set to", "dec": "decrement by", "inc": "increment by"}[h.Op]
	return h.word + " " + op + " " + decimal(h.Value)
}

// Check refuses other tables (net/netfilter/xt_HL.c).
func (h *HopLimit) Check(in *ruleset.Place) error { return in.OnlyAt(ruleset.PriorityMangle) }

// Lower gives the change.
func (h *HopLimit) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SetTTL{Op: ttlOps[h.Op], Value: h.Value})
}

var ttlOps = map[string]pred.TTLOp{"set": pred.TTLSet, "inc": pred.TTLAdd, "dec": pred.TTLSub}

func hopLimitOf(family packet.Family, e pred.SetTTL) *HopLimit {
	h := &HopLimit{word: "TTL", Value: e.Value}
	if family == packet.IPv6 {
		h.word = "HL"
	}
	for name, op := range ttlOps {
		if op == e.Op {
			h.Op = name
		}
	}
	return h
}
