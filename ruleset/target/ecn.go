package target

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var ecnKind = &ruleset.TargetKind{
	Name:     "ECN",
	Families: ruleset.OnlyIPv4,
	Doc:      "change the ECN bits of the IP and TCP headers",
	Options: []ruleset.Option{
		{Name: "ecn-tcp-remove", Help: "clear both ECN bits of the TCP header"},
		{Name: "ecn-tcp-cwr", NArgs: 1, Help: "set the CWR bit to 0 or 1"},
		{Name: "ecn-tcp-ece", NArgs: 1, Help: "set the ECE bit to 0 or 1"},
		{Name: "ecn-ip-ect", NArgs: 1, Help: "set the codepoint of the IP header, 0 to 3"},
	},
	New: func() ruleset.TargetBuilder { return &ECN{} },
}

// ECN is -j ECN.
type ECN struct {
	used
	SetIP, SetECE, SetCWR bool
	ECT, ECE, CWR         uint8
}

// Set takes one option. --ecn-tcp-remove forgets an --ecn-ip-ect before it, as
// ECN_parse() of iptables does.
func (e *ECN) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := e.once(option, negate); err != nil {
		return err
	}
	var (
		n   uint64
		err error
	)
	switch option {
	case "ecn-tcp-remove":
		e.SetIP, e.SetECE, e.SetCWR, e.ECE, e.CWR = false, true, true, 0, 0
	case "ecn-tcp-cwr":
		n, err = number(args[0], 0, 1)
		e.SetCWR, e.CWR = true, uint8(n)
	case "ecn-tcp-ece":
		n, err = number(args[0], 0, 1)
		e.SetECE, e.ECE = true, uint8(n)
	case "ecn-ip-ect":
		n, err = number(args[0], 0, 3)
		e.SetIP, e.ECT = true, uint8(n)
	}
	return err
}

// Done asks for an operation.
func (e *ECN) Done(*ruleset.Env) error {
	for _, o := range []string{"ecn-tcp-cwr", "ecn-tcp-ece"} {
		if err := e.exclusive("ecn-tcp-remove", o); err != nil {
			return err
		}
	}
	return ruleset.InWords(e.need("ecn-tcp-remove", "ecn-tcp-cwr", "ecn-tcp-ece", "ecn-ip-ect"), "ECN target: An operation is required")
}

// Target gives the target that was built.
func (e *ECN) Target() ruleset.Target { return e }

// Word is the name after -j.
func (e *ECN) Word() string { return "ECN" }

// removes says whether it does what --ecn-tcp-remove says and no more.
func (e *ECN) removes() bool {
	return e.SetECE && e.SetCWR && !e.SetIP && e.ECE == 0 && e.CWR == 0
}

// Args is the text after -j.
func (e *ECN) Args() []string {
	a := []string{"ECN"}
	if e.removes() {
		return append(a, "--ecn-tcp-remove")
	}
	if e.SetECE {
		a = append(a, "--ecn-tcp-ece", decimal(e.ECE))
	}
	if e.SetCWR {
		a = append(a, "--ecn-tcp-cwr", decimal(e.CWR))
	}
	if e.SetIP {
		a = append(a, "--ecn-ip-ect", decimal(e.ECT))
	}
	return a
}

// ExactArgs has a codepoint that --ecn-tcp-remove made the target forget.
func (e *ECN) ExactArgs() []string {
	if !e.removes() || e.ECT == 0 {
		return nil
	}
	return []string{"ECN", "--ecn-ip-ect", decimal(e.ECT), "--ecn-tcp-remove"}
}

// List is the text of iptables -L.
func (e *ECN) List(ruleset.Names) string {
	a := []string{"ECN"}
	if e.removes() {
		return "ECN TCP remove"
	}
	if e.SetECE {
		a = append(a, fmt.Sprintf("ECE=%d", e.ECE))
	}
	if e.SetCWR {
		a = append(a, fmt.Sprintf("CWR=%d", e.CWR))
	}
	if e.SetIP {
		a = append(a, fmt.Sprintf("ECT codepoint=%d", e.ECT))
	}
	return strings.Join(a, " ")
}

// Check refuses other tables, and TCP bits for other protocols than TCP
// (ecn_tg_check(), net/ipv4/netfilter/ipt_ECN.c).
func (e *ECN) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityMangle); err != nil {
		return err
	}
	if e.SetECE || e.SetCWR {
		return onlyProto(in, "a change of TCP bits", protoTCP)
	}
	return nil
}

// Lower gives the change.
func (e *ECN) Lower(*ruleset.Place) pred.Action {
	out := pred.SetECN{SetIP: e.SetIP, SetECE: e.SetECE, SetCWR: e.SetCWR, ECE: e.ECE != 0, CWR: e.CWR != 0}
	if e.SetIP {
		out.IP = e.ECT
	}
	return pred.Doing(out)
}

func ecnOf(e pred.SetECN) *ECN {
	out := &ECN{SetIP: e.SetIP, SetECE: e.SetECE, SetCWR: e.SetCWR, ECT: e.IP}
	if e.ECE {
		out.ECE = 1
	}
	if e.CWR {
		out.CWR = 1
	}
	return out
}
