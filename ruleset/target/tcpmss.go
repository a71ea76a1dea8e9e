package target

import (
	"errors"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var tcpmssKind = &ruleset.TargetKind{
	Name:     "TCPMSS",
	Families: ruleset.Both,
	Doc:      "lower the maximum segment size that a TCP SYN announces",
	Options: []ruleset.Option{
		{Name: "set-mss", NArgs: 1, Help: "this size"},
		{Name: "clamp-mss-to-pmtu", Help: "what fits the path: its MTU less 40 (IPv6: 60)"},
	},
	New: func() ruleset.TargetBuilder { return &TCPMSS{} },
}

// TCPMSS is -j TCPMSS.
type TCPMSS struct {
	used
	MSS   uint16
	Clamp bool
}

// Set takes one option; the later of the two counts.
func (t *TCPMSS) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := t.once(option, negate); err != nil {
		return err
	}
	if t.Clamp = option == "clamp-mss-to-pmtu"; t.Clamp {
		return nil
	}
	header := uint64(20)
	if env.Family == packet.IPv6 {
		header = 40
	}
	n, err := number(args[0], 0, 0xffff-header)
	t.MSS = uint16(n)
	return err
}

// Done asks for an option.
func (t *TCPMSS) Done(*ruleset.Env) error {
	return ruleset.InWords(t.need("set-mss", "clamp-mss-to-pmtu"), "TCPMSS target: At least one parameter is required")
}

// Target gives the target that was built.
func (t *TCPMSS) Target() ruleset.Target { return t }

// Word is the name after -j.
func (t *TCPMSS) Word() string { return "TCPMSS" }

// Args is the text after -j.
func (t *TCPMSS) Args() []string {
	if t.Clamp {
		return []string{"TCPMSS", "--clamp-mss-to-pmtu"}
	}
	return []string{"TCPMSS", "--set-mss", decimal(t.MSS)}
}

// List is the text of iptables -L.
func (t *TCPMSS) List(ruleset.Names) string {
	if t.Clamp {
		return "TCPMSS clamp to PMTU"
	}
	return "TCPMSS set " + decimal(t.MSS)
}

// Check refuses other protocols than TCP, packets other than SYN, and clamping
// where the route is not known (tcpmss_tg4_check(), net/netfilter/xt_TCPMSS.c).
func (t *TCPMSS) Check(in *ruleset.Place) error {
	if err := onlyProto(in, "TCPMSS", protoTCP); err != nil {
		return err
	}
	if t.Clamp {
		if err := onlyHooks(in, packet.Forward, packet.Output, packet.Postrouting); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(in.Rule.Matches, func(m ruleset.Match) bool { return ruleset.AsksSYN(m) }) {
		return errors.New("TCPMSS only works on TCP SYN packets; add --tcp-flags SYN,RST SYN")
	}
	return nil
}

// Lower gives the change.
func (t *TCPMSS) Lower(*ruleset.Place) pred.Action {
	if t.Clamp {
		return pred.Doing(pred.SetMSS{ToPathMTU: true})
	}
	return pred.Doing(pred.SetMSS{MSS: t.MSS})
}
