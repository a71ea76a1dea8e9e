package target

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var rejectKind = &ruleset.TargetKind{
	Name:     "REJECT",
	Families: ruleset.Both,
	Doc:      "drop the packet and answer with an ICMP error or a TCP reset",
	Options: []ruleset.Option{
		{Name: "reject-with", NArgs: 1, Help: "the answer: " + strings.Join(rejectNames(packet.IPv4), ", ") +
			"; IPv6: " + strings.Join(rejectNames(packet.IPv6), ", ")},
	},
	New: func() ruleset.TargetBuilder { return &Reject{} },
}

// rejectType is an answer of REJECT with its other name, and the code of the ICMP error.
type rejectType struct {
	name, alias string
	code        uint8
}

// rejectTypes are in the order of enum ipt_reject_with and ip6t_reject_with: the
// first that starts with what was written is taken.
var rejectTypes = map[packet.Family][]rejectType{
	packet.IPv4: {
		{"icmp-net-unreachable", "net-unreach", 0},
		{"icmp-host-unreachable", "host-unreach", 1},
		{"icmp-proto-unreachable", "proto-unreach", 2},
		{"icmp-port-unreachable", "port-unreach", 3},
		{"icmp-net-prohibited", "net-prohib", 9},
		{"icmp-host-prohibited", "host-prohib", 10},
		{tcpReset, "tcp-rst", 0},
		{"icmp-admin-prohibited", "admin-prohib", 13},
	},
	packet.IPv6: {
		{"icmp6-no-route", "no-route", 0},
		{"icmp6-adm-prohibited", "adm-prohibited", 1},
		{"icmp6-addr-unreachable", "addr-unreach", 3},
		{"icmp6-port-unreachable", "port-unreach", 4},
		{tcpReset, tcpReset, 0},
		{"icmp6-policy-fail", "policy-fail", 5},
		{"icmp6-reject-route", "reject-route", 6},
	},
}

const tcpReset = "tcp-reset"

func rejectNames(family packet.Family) []string {
	var names []string
	for _, t := range rejectTypes[family] {
		names = append(names, t.name)
	}
	return names
}

// Reject is -j REJECT.
type Reject struct {
	used
	With string // full name of the answer
}

// Set takes --reject-with.
func (r *Reject) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := r.once(option, negate); err != nil {
		return err
	}
	for _, t := range rejectTypes[env.Family] {
		if startsFold(t.name, args[0]) || startsFold(t.alias, args[0]) {
			r.With = t.name
			return nil
		}
	}
	return ruleset.InWords(fmt.Errorf("unknown reject type %q; one of %s", args[0], strings.Join(rejectNames(env.Family), ", ")), "unknown reject type \"%s\"", args[0])
}

// startsFold says whether s starts with prefix, whatever the case of letters.
func startsFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// Done fills the default in.
func (r *Reject) Done(env *ruleset.Env) error {
	if r.With != "" {
		return nil
	}
	r.With = "icmp-port-unreachable"
	if env.Family == packet.IPv6 {
		r.With = "icmp6-port-unreachable"
	}
	return nil
}

// Target gives the target that was built.
func (r *Reject) Target() ruleset.Target { return r }

// Word is the name after -j.
func (r *Reject) Word() string { return "REJECT" }

// Args is the text after -j.
func (r *Reject) Args() []string { return []string{"REJECT", "--reject-with", r.With} }

// List is the text of iptables -L.
func (r *Reject) List(ruleset.Names) string { return "reject-with " + r.With }

// Check refuses other tables and hooks, and a reset for other protocols than TCP
// (reject_tg_check(), net/ipv4/netfilter/ipt_REJECT.c and ip6t_REJECT.c).
func (r *Reject) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityFilter); err != nil {
		return err
	}
	if err := onlyHooks(in, packet.Input, packet.Forward, packet.Output); err != nil {
		return err
	}
	if r.With == tcpReset {
		return onlyProto(in, "--reject-with tcp-reset", protoTCP)
	}
	return nil
}

// Lower gives the answer.
func (r *Reject) Lower(in *ruleset.Place) pred.Action {
	if r.With == tcpReset {
		return pred.Doing(pred.Reject{Reset: true})
	}
	for _, t := range rejectTypes[in.Family] {
		if t.name == r.With {
			return pred.Doing(pred.Reject{Code: t.code})
		}
	}
	panic("target: REJECT was not read: --reject-with " + r.With)
}

// rejectOf is nil where the family has no such answer.
func rejectOf(family packet.Family, e pred.Reject) *Reject {
	for _, t := range rejectTypes[family] {
		if e.Reset == (t.name == tcpReset) && (e.Reset || t.code == e.Code) {
			return &Reject{With: t.name}
		}
	}
	return nil
}
