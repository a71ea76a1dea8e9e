package target

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var snptKind = &ruleset.TargetKind{
	Name:     "SNPT",
	Families: ruleset.OnlyIPv6,
	Doc:      "translate the prefix of the source address without state (RFC 6296)",
	Options:  nptOptions,
	New: func() ruleset.TargetBuilder {
		return &NPT{word: "SNPT", hooks: []packet.Hook{packet.Input, packet.Postrouting}}
	},
}

var nptOptions = []ruleset.Option{
	{Name: "src-pfx", NArgs: 1, Help: "PREFIX/LENGTH to be translated, 64 bits at most"},
	{Name: "dst-pfx", NArgs: 1, Help: "PREFIX/LENGTH that takes its place"},
}

// NPT is -j SNPT or -j DNPT.
type NPT struct {
	used
	word           string
	hooks          []packet.Hook
	Src, Dst       netip.Addr
	SrcLen, DstLen int
}

// Set takes one option.
func (n *NPT) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := n.once(option, negate); err != nil {
		return err
	}
	a, length, err := hostPrefix(env, args[0])
	if option == "src-pfx" {
		n.Src, n.SrcLen = a, length
	} else {
		n.Dst, n.DstLen = a, length
	}
	return err
}

// Done asks for both prefixes.
func (n *NPT) Done(*ruleset.Env) error {
	if err := n.need("src-pfx"); err != nil {
		return err
	}
	return n.need("dst-pfx")
}

// Target gives the target that was built.
func (n *NPT) Target() ruleset.Target { return n }

// Word is the name after -j.
func (n *NPT) Word() string { return n.word }

// Args is the text after -j; the prefix ::/0 is not printed.
func (n *NPT) Args() []string {
	a := []string{n.word}
	if !n.Src.IsUnspecified() || n.SrcLen != 0 {
		a = append(a, "--src-pfx", prefixText(n.Src, n.SrcLen))
	}
	if !n.Dst.IsUnspecified() || n.DstLen != 0 {
		a = append(a, "--dst-pfx", prefixText(n.Dst, n.DstLen))
	}
	return a
}

// ExactArgs has both prefixes.
func (n *NPT) ExactArgs() []string {
	if len(n.Args()) == 5 {
		return nil
	}
	return []string{n.word, "--src-pfx", prefixText(n.Src, n.SrcLen), "--dst-pfx", prefixText(n.Dst, n.DstLen)}
}

func prefixText(a netip.Addr, length int) string {
	return fmt.Sprintf("%s/%d", addrText(a), length)
}

// List is the text of iptables -L.
func (n *NPT) List(ruleset.Names) string {
	return strings.Join([]string{n.word, "src-pfx", prefixText(n.Src, n.SrcLen), "dst-pfx", prefixText(n.Dst, n.DstLen)}, " ")
}

// Check refuses other tables and hooks, and prefixes that are too long or have
// bits behind their end (ip6t_npt_checkentry(), net/ipv6/netfilter/ip6t_NPT.c).
func (n *NPT) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityMangle); err != nil {
		return err
	}
	if err := onlyHooks(in, n.hooks...); err != nil {
		return err
	}
	for _, p := range []netip.Prefix{netip.PrefixFrom(n.Src, n.SrcLen), netip.PrefixFrom(n.Dst, n.DstLen)} {
		if !p.IsValid() || p.Bits() > 64 {
			return fmt.Errorf("%s has a prefix of more than 64 bits; give 64 at most", addrText(p.Addr()))
		}
		if p.Masked() != p {
			return fmt.Errorf("%s has bits behind its prefix; give %s", p, p.Masked())
		}
	}
	return nil
}

// Lower gives the translation.
func (n *NPT) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.NPT{
		Destination: n.word == "DNPT", From: netip.PrefixFrom(n.Src, n.SrcLen), To: netip.PrefixFrom(n.Dst, n.DstLen),
	})
}

func nptOf(e pred.NPT) *NPT {
	n := &NPT{word: "SNPT", Src: e.From.Addr(), SrcLen: e.From.Bits(), Dst: e.To.Addr(), DstLen: e.To.Bits()}
	if e.Destination {
		n.word = "DNPT"
	}
	return n
}
