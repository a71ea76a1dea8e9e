package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var ulogKind = &ruleset.TargetKind{
	Name:     "ULOG",
	Families: ruleset.OnlyIPv4,
	Doc:      "pass a copy of the packet to a program; no kernel since Linux 3.17 has it",
	Options: []ruleset.Option{
		{Name: "ulog-nlgroup", NArgs: 1, Help: "netlink group, 1 to 32"},
		{Name: "ulog-prefix", NArgs: 1, Help: "text that goes with the packet, at most 31 bytes"},
		{Name: "ulog-cprange", NArgs: 1, Help: "bytes to copy of the packet"},
		{Name: "ulog-qthreshold", NArgs: 1, Help: "packets to collect in the kernel, 1 to 50"},
	},
	New: func() ruleset.TargetBuilder { return &ULog{Group: 1, Threshold: 1} },
}

const ulogPrefixSize = 32

// ULog is -j ULOG.
type ULog struct {
	used
	Group     uint8
	Prefix    string
	CopyRange uint64
	Threshold uint8
}

// Set takes one option.
func (u *ULog) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := u.once(option, negate); err != nil {
		return err
	}
	var (
		n   uint64
		err error
	)
	switch option {
	case "ulog-nlgroup":
		n, err = number(args[0], 1, 32)
		u.Group = uint8(n)
	case "ulog-prefix":
		u.Prefix, err = logPrefix(args[0], ulogPrefixSize)
	case "ulog-cprange":
		u.CopyRange, err = number(args[0], 0, 1<<64-1)
	case "ulog-qthreshold":
		n, err = number(args[0], 1, 50)
		u.Threshold = uint8(n)
	}
	return err
}

// Done has nothing to check.
func (u *ULog) Done(*ruleset.Env) error { return nil }

// Target gives the target that was built.
func (u *ULog) Target() ruleset.Target { return u }

// Word is the name after -j.
func (u *ULog) Word() string { return "ULOG" }

// Args is the text after -j.
func (u *ULog) Args() []string { return u.args(func(s string) string { return s }) }

// Text is what iptables-save prints: the prefix in quotes by need.
func (u *ULog) Text() string { return strings.Join(u.args(ruleset.Quoted), " ") }

func (u *ULog) args(quote func(string) string) []string {
	a := []string{"ULOG"}
	if u.Prefix != "" {
		a = append(a, "--ulog-prefix", quote(u.Prefix))
	}
	if u.Group != 1 {
		a = append(a, "--ulog-nlgroup", decimal(u.Group))
	}
	if u.CopyRange != 0 {
		a = append(a, "--ulog-cprange", decimal(uint32(u.CopyRange)))
	}
	if u.Threshold != 1 {
		a = append(a, "--ulog-qthreshold", decimal(u.Threshold))
	}
	return a
}

// List is the text of iptables -L.
func (u *ULog) List(ruleset.Names) string {
	s := fmt.Sprintf("ULOG copy_range %d nlgroup %d", uint32(u.CopyRange), u.Group)
	if u.Prefix != "" {
		s += ` prefix "` + u.Prefix + `"`
	}
	return s + fmt.Sprintf(" queue_threshold %d", u.Threshold)
}

// Check refuses it: the kernels that bpftables runs on do not have it.
func (u *ULog) Check(*ruleset.Place) error {
	return errors.New("the kernel has no ULOG since Linux 3.17; use NFLOG")
}

// Lower gives its words.
func (u *ULog) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.NewOpaque(ruleset.ExactArgsOf(u)))
}
