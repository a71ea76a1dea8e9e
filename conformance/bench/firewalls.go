package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// The firewalls, by the titles of their columns.
const (
	none     = "no rules"
	empty    = "empty XDP drop"
	legacy   = "iptables-legacy"
	nft      = "iptables-nft"
	nftSet   = "nft set"
	ipSet    = "ipset"
	ours     = "bpftables"
	oursTen  = "bpftables, N = 10"
	served   = "bpftables, serve"
	earlyOff = "bpftables, early off"
	early    = "bpftables, early XDP"
)

var makers = map[string]func(b *bench) *firewall{
	none:     func(*bench) *firewall { return &firewall{} },
	empty:    func(*bench) *firewall { return &firewall{} },
	legacy:   func(*bench) *firewall { return iptables("legacy") },
	nft:      func(*bench) *firewall { return iptables("nft") },
	nftSet:   func(*bench) *firewall { return nftables() },
	ipSet:    func(*bench) *firewall { return withIPSet() },
	ours:     func(b *bench) *firewall { return b.bpftables() },
	oursTen:  func(b *bench) *firewall { return b.bpftables() },
	served:   func(b *bench) *firewall { return b.bpftables().served(b.program) },
	oneByOne: func(b *bench) *firewall { return b.oneByOne() },
	earlyOff: func(b *bench) *firewall { return b.early("off") },
	early:    func(b *bench) *firewall { return b.early("xdp") },
}

// firewalls makes hosts for the named ones. Tools that the machine has not are refused.
func (b *bench) firewalls(titles ...string) (all []*firewall, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(all))
		}
	}()
	for i, title := range titles {
		f := makers[title](b)
		f.title = title
		if f.host, err = flood.NewHost(fmt.Sprint(i)); err != nil {
			return all, err
		}
		all = append(all, f)
	}
	return all, nil
}

// usual makes hosts for the named ones that have no addresses but their own: with others,
// the early stage does not know what is for the host.
func (b *bench) usual(titles ...string) ([]*firewall, error) {
	all, err := b.firewalls(titles...)
	for _, f := range all {
		if err == nil {
			err = f.host.Narrow()
		}
	}
	return all, err
}

func removeAll(all []*firewall) error {
	var errs []error
	for _, f := range all {
		errs = append(errs, f.remove())
	}
	return errors.Join(errs...)
}

func iptables(backend string) *firewall {
	name := func(f packet.Family) string {
		if f == packet.IPv6 {
			return "ip6tables-" + backend
		}
		return "iptables-" + backend
	}
	f := &firewall{
		load:    func(r *rules) []step { return []step{{[]string{name(r.Family) + "-restore"}, r.text()}} },
		save:    func(f packet.Family) []string { return []string{name(f) + "-save", "-c"} },
		command: func(f packet.Family) []string { return []string{name(f)} },
		clear: func(f packet.Family) [][]string {
			return [][]string{{name(f), "-F"}, {name(f), "-P", "INPUT", "ACCEPT"}, {name(f), "-P", "FORWARD", "ACCEPT"}}
		},
	}
	return f.needs(name(packet.IPv4))
}

// needs makes a firewall absent whose program is not there.
func (f *firewall) needs(program string) *firewall {
	if _, err := exec.LookPath(program); err != nil {
		f.absent = "not available: " + err.Error()
	}
	return f
}

func nftables() *firewall {
	f := &firewall{
		load: func(r *rules) []step {
			if text := r.nftSet(); text != "" {
				return []step{{[]string{"nft", "-f", "-"}, text}}
			}
			return nil
		},
		clear: func(packet.Family) [][]string { return [][]string{{"nft", "flush", "ruleset"}} },
	}
	return f.needs("nft")
}

func withIPSet() *firewall {
	f := iptables("legacy")
	clear := f.clear
	f.load = func(r *rules) []step {
		set, text := r.ipset()
		if set == "" {
			return nil
		}
		return []step{{[]string{"ipset", "restore"}, set}, {[]string{"iptables-legacy-restore"}, text}}
	}
	f.clear = func(family packet.Family) [][]string {
		return append(clear(family), []string{"ipset", "destroy"})
	}
	return f.needs("ipset")
}

// bpftables is the program without a server. Nothing may be left to netfilter.
func (b *bench) bpftables(options ...string) *firewall {
	args := func(f packet.Family, words ...string) []string {
		if f == packet.IPv6 {
			words = append(words, "-6")
		}
		return append([]string{b.program}, words...)
	}
	return &firewall{
		env: []string{"BPFTABLES_NO_SERVE=1"},
		load: func(r *rules) []step {
			return []step{{args(r.Family, append([]string{"restore", "--strict"}, options...)...), r.text()}}
		},
		save: func(f packet.Family) []string { return args(f, "save", "-c") },
		command: func(f packet.Family) []string {
			if f == packet.IPv6 {
				return []string{b.program, "ip6tables"}
			}
			return []string{b.program, "iptables"}
		},
		clear: func(packet.Family) [][]string { return [][]string{{b.program, "flush", "--all"}} },
	}
}

// early is the program with its early stage off or on.
func (b *bench) early(mode string) *firewall {
	help, err := exec.Command(b.program, "restore", "--help").Output()
	if err == nil && strings.Contains(string(help), "--early") {
		return b.bpftables("--early", mode)
	}
	f := b.bpftables()
	if mode != "off" {
		f.absent = "not available: the program has no --early"
	}
	return f
}

// attachNone puts what a dropped packet costs without rules: a BPF program of two
// instructions, at the hook INPUT or in the driver. To accept, nothing is there.
func (f *firewall) attachNone(r *rules) (note string) {
	if r.accept() && f.title == none {
		return ""
	}
	typ, attach, verdict := ebpf.Netfilter, ebpf.AttachNetfilter, int32(0) // NF_DROP
	if f.title == empty {
		typ, attach, verdict = ebpf.XDP, ebpf.AttachXDP, 1 // XDP_DROP
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: typ, License: "GPL", AttachType: attach,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	})
	if err != nil {
		return reason(err)
	}
	defer prog.Close()
	err = f.host.Do(func() (err error) {
		f.drop, err = f.attach(prog, r.Family)
		return err
	})
	if err != nil {
		return reason(err)
	}
	return ""
}

func (f *firewall) attach(prog *ebpf.Program, family packet.Family) (link.Link, error) {
	if f.title == empty {
		dev, err := f.host.Device()
		if err != nil {
			return nil, err
		}
		return link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev.Index, Flags: link.XDPDriverMode})
	}
	const localIn = 1                                               // NF_INET_LOCAL_IN
	pf := map[packet.Family]uint32{packet.IPv4: 2, packet.IPv6: 10} // NFPROTO_IPV4, NFPROTO_IPV6
	return link.AttachNetfilter(link.NetfilterOptions{Program: prog, ProtocolFamily: link.NetfilterProtocolFamily(pf[family]), Hook: link.NetfilterInetHook(localIn), Priority: -1})
}
