package target

import (
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var nflogKind = &ruleset.TargetKind{
	Name:     "NFLOG",
	Families: ruleset.Both,
	Doc:      "pass a copy of the packet to the programs that listen on a netlink group",
	Options: []ruleset.Option{
		{Name: "nflog-group", NArgs: 1, Help: "netlink group, 0 to 65535"},
		{Name: "nflog-prefix", NArgs: 1, Help: "text that goes with the packet, at most 63 bytes"},
		{Name: "nflog-range", NArgs: 1, Help: "has no effect; use --nflog-size"},
		{Name: "nflog-size", NArgs: 1, Help: "bytes to copy of the packet"},
		{Name: "nflog-threshold", NArgs: 1, Help: "packets to collect in the kernel before they are sent"},
	},
	New: func() ruleset.TargetBuilder { return &NFLog{} },
}

const nflogPrefixSize = 64

// NFLog is -j NFLOG.
type NFLog struct {
	used
	Group, Threshold uint16
	Prefix           string
	Len              uint32
	CopyLen          bool // Len is from --nflog-size, else from --nflog-range
}

// Set takes one option.
func (l *NFLog) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := l.once(option, negate); err != nil {
		return err
	}
	var (
		n   uint64
		err error
	)
	switch option {
	case "nflog-group":
		n, err = number(args[0], 0, 0xffff)
		l.Group = uint16(n)
	case "nflog-threshold":
		n, err = number(args[0], 0, 0xffff)
		l.Threshold = uint16(n)
	case "nflog-size", "nflog-range":
		if option == "nflog-range" {
			env.Warning("warn: --nflog-range has never worked and is no longer supported, please use --nflog-size instead")
		}
		n, err = number(args[0], 0, maxUint32)
		l.Len, l.CopyLen = uint32(n), option == "nflog-size"
	case "nflog-prefix":
		l.Prefix, err = logPrefix(args[0], nflogPrefixSize)
	}
	return err
}

// Done refuses both lengths.
func (l *NFLog) Done(*ruleset.Env) error { return l.exclusive("nflog-range", "nflog-size") }

// Target gives the target that was built.
func (l *NFLog) Target() ruleset.Target { return l }

// Word is the name after -j.
func (l *NFLog) Word() string { return "NFLOG" }

// Args is the text after -j.
func (l *NFLog) Args() []string {
	return append([]string{"NFLOG"}, l.options("--", func(s string) string { return s })...)
}

// Text is what iptables-save prints: the prefix in quotes by need.
func (l *NFLog) Text() string {
	return strings.Join(append([]string{"NFLOG"}, l.options("--", ruleset.Quoted)...), " ")
}

func (l *NFLog) options(dashes string, quote func(string) string) []string {
	var a []string
	if l.Prefix != "" {
		a = append(a, dashes+"nflog-prefix", quote(l.Prefix))
	}
	if l.Group != 0 {
		a = append(a, dashes+"nflog-group", decimal(l.Group))
	}
	if l.CopyLen {
		a = append(a, dashes+"nflog-size", decimal(l.Len))
	} else if l.Len != 0 {
		a = append(a, dashes+"nflog-range", decimal(l.Len))
	}
	if l.Threshold != 0 {
		a = append(a, dashes+"nflog-threshold", decimal(l.Threshold))
	}
	return a
}

// List is the text of iptables -L.
func (l *NFLog) List(ruleset.Names) string {
	return strings.Join(l.options("", ruleset.Quoted), " ")
}

// Check accepts every place (nflog_tg_check(), net/netfilter/xt_NFLOG.c).
func (l *NFLog) Check(*ruleset.Place) error { return nil }

// Lower gives the copy. A length without --nflog-size has no effect: the flag
// XT_NFLOG_F_COPY_LEN is not set (nflog_tg(), net/netfilter/xt_NFLOG.c).
func (l *NFLog) Lower(*ruleset.Place) pred.Action {
	e := pred.NFLog{Group: l.Group, Threshold: l.Threshold, Prefix: l.Prefix, Cut: l.CopyLen}
	if l.CopyLen {
		e.SnapLen = l.Len
	}
	return pred.Doing(e)
}

func nflogOf(e pred.NFLog) *NFLog {
	return &NFLog{Group: e.Group, Threshold: e.Threshold, Prefix: e.Prefix, CopyLen: e.Cut, Len: e.SnapLen}
}
