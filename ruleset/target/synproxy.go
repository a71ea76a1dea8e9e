package target

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var synproxyKind = &ruleset.TargetKind{
	Name:     "SYNPROXY",
	Families: ruleset.Both,
	Doc:      "answer TCP handshakes with SYN cookies and pass only those that are finished",
	Options: []ruleset.Option{
		{Name: "sack-perm", Help: "announce selective acknowledgements"},
		{Name: "timestamp", Help: "announce timestamps; the other options need it"},
		{Name: "wscale", NArgs: 1, Help: "window scale of the servers behind"},
		{Name: "mss", NArgs: 1, Help: "maximum segment size of the servers behind"},
		{Name: "ecn", Help: "announce ECN"},
	},
	New: func() ruleset.TargetBuilder { return &SynProxy{} },
}

// SynProxy is -j SYNPROXY.
type SynProxy struct {
	used
	WScale uint8
	MSS    uint16
}

// Set takes one option. Numbers are cut to the width of their field in struct
// nf_synproxy_info (include/uapi/linux/netfilter/nf_synproxy.h).
func (s *SynProxy) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := s.once(option, negate); err != nil {
		return err
	}
	if len(args) == 0 {
		return nil
	}
	n, err := number(args[0], 0, maxUint32)
	if option == "wscale" {
		s.WScale = uint8(n)
	} else {
		s.MSS = uint16(n)
	}
	return err
}

// Done has nothing to check.
func (s *SynProxy) Done(*ruleset.Env) error { return nil }

// Target gives the target that was built.
func (s *SynProxy) Target() ruleset.Target { return s }

// Word is the name after -j.
func (s *SynProxy) Word() string { return "SYNPROXY" }

// options gives name and value of what was given, in the order of printing.
func (s *SynProxy) options() [][2]string {
	var a [][2]string
	for _, o := range [][2]string{
		{"sack-perm"}, {"timestamp"}, {"wscale", decimal(s.WScale)}, {"mss", decimal(s.MSS)}, {"ecn"},
	} {
		if s.has(o[0]) {
			a = append(a, o)
		}
	}
	return a
}

// Args is the text after -j.
func (s *SynProxy) Args() []string {
	a := []string{"SYNPROXY"}
	for _, o := range s.options() {
		a = append(a, "--"+o[0])
		if o[1] != "" {
			a = append(a, o[1])
		}
	}
	return a
}

// List is the text of iptables -L.
func (s *SynProxy) List(ruleset.Names) string {
	text := "SYNPROXY "
	for _, o := range s.options() {
		text += o[0] + " "
		if o[1] != "" {
			text += fmt.Sprintf("%s ", o[1])
		}
	}
	return text
}

// Check refuses other hooks and protocols (synproxy_tg4_check(),
// net/ipv4/netfilter/ipt_SYNPROXY.c).
func (s *SynProxy) Check(in *ruleset.Place) error {
	if err := onlyHooks(in, packet.Input, packet.Forward); err != nil {
		return err
	}
	return onlyProto(in, "SYNPROXY", protoTCP)
}

// NeedsConntrack says yes (synproxy_tg4_check(), net/ipv4/netfilter/ipt_SYNPROXY.c).
func (s *SynProxy) NeedsConntrack() bool { return true }

// Lower gives the answer to a SYN.
func (s *SynProxy) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.SynProxy{
		SACK: s.has("sack-perm"), Timestamp: s.has("timestamp"), ECN: s.has("ecn"),
		HasMSS: s.has("mss"), MSS: s.MSS, HasWScale: s.has("wscale"), WScale: s.WScale,
	})
}

func synproxyOf(e pred.SynProxy) *SynProxy {
	s := &SynProxy{MSS: e.MSS, WScale: e.WScale}
	for option, given := range map[string]bool{
		"sack-perm": e.SACK, "timestamp": e.Timestamp, "ecn": e.ECN, "mss": e.HasMSS, "wscale": e.HasWScale,
	} {
		if given {
			s.used = append(s.used, option)
		}
	}
	return s
}
