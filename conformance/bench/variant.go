package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// The variants, in the order of the table's columns.
const (
	none = iota
	legacy
	nft
	ours
	count
)

// variant is one firewall in a namespace of its own.
type variant struct {
	*space
	title   string
	restore []string // reads a ruleset on standard input; nil: no firewall
	save    []string // prints it with counters
	flush   []string // leaves nothing behind
	drop    link.Link
}

// newVariants makes a namespace for every variant. Those whose programs the host
// has not are refused by name.
func newVariants(program string) (all []*variant, err error) {
	defer func() {
		for _, v := range all {
			if err != nil {
				err = errors.Join(err, v.remove())
			}
		}
	}()
	for _, v := range []*variant{
		none:   {title: "no rules"},
		legacy: iptables("iptables-legacy"),
		nft:    iptables("iptables-nft"),
		ours: {
			title:   "bpftables",
			restore: []string{program, "restore", "--strict"}, // no table left to netfilter
			save:    []string{program, "save", "-c"},
			flush:   []string{program, "flush", "--all"},
		},
	} {
		if v.restore != nil {
			if _, err := exec.LookPath(v.restore[0]); err != nil {
				return all, fmt.Errorf("%s: %w; 'make setup build' installs and builds what is compared", v.title, err)
			}
		}
		if v.space, err = newSpace(fmt.Sprint(len(all))); err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func iptables(name string) *variant {
	return &variant{
		title:   name,
		restore: []string{name + "-restore"},
		save:    []string{name + "-save", "-c"},
		flush:   []string{name, "-F"},
	}
}

// remove takes the rules and the namespace away.
func (v *variant) remove() error {
	return errors.Join(v.empty(), v.space.remove())
}

// empty takes the rules away.
func (v *variant) empty() error {
	if v.drop != nil {
		err := v.drop.Close()
		v.drop = nil
		return err
	}
	if v.flush == nil {
		return nil
	}
	return v.command(v.flush...)
}

// cost is what one restore took.
type cost struct {
	wall    time.Duration
	peakKiB int64
}

// apply loads a ruleset and gives the time that it took.
func (v *variant) apply(l load) (wall time.Duration, err error) {
	if v.restore == nil {
		return 0, v.applyNone(l)
	}
	start := time.Now()
	err = v.feedRules(l, v.restore...)
	return time.Since(start), err
}

// peak loads a ruleset and gives the largest resident memory that a process had
// meanwhile. It is measured by a process in between: the kernel counts for a child
// also what its parent had when it started it (fs/exec.c, exec_mmap), and time(1)
// has little.
func (v *variant) peak(l load) (kib int64, err error) {
	report, err := os.CreateTemp("", "bench-peak")
	if err != nil {
		return 0, err
	}
	defer os.Remove(report.Name())
	defer report.Close()
	args := append([]string{"time", "-q", "-f", "%M", "-o", report.Name()}, v.restore...)
	if err := v.feedRules(l, args...); err != nil {
		return 0, err
	}
	_, err = fmt.Fscan(report, &kib)
	return kib, err
}

// feedRules runs a program in the namespace with the ruleset as its input.
func (v *variant) feedRules(l load, args ...string) error {
	return v.do(func() error {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(l.text())
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: restore of %d rules: %w: %s", v.title, l.n, err, bytes.TrimSpace(said))
		}
		return nil
	})
}

// applyNone is what a verdict costs without rules: to accept, nothing is there; to
// drop, a BPF program of two instructions at the hook.
func (v *variant) applyNone(l load) error {
	if err := v.empty(); err != nil || l.accept {
		return err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Netfilter, License: "GPL", AttachType: ebpf.AttachNetfilter,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, // NF_DROP
	})
	if err != nil {
		return fmt.Errorf("load the dropping program: %w", err)
	}
	defer prog.Close()
	const ipv4, localIn = 2, 1 // NFPROTO_IPV4, NF_INET_LOCAL_IN
	return v.do(func() (err error) {
		v.drop, err = link.AttachNetfilter(link.NetfilterOptions{
			Program: prog, ProtocolFamily: ipv4, Hook: localIn, Priority: -1,
		})
		return err
	})
}

// matched is how many packets the last rule has counted.
func (v *variant) matched() (packets int, err error) {
	out, err := v.output(v.save...)
	if err != nil {
		return 0, fmt.Errorf("%s: save: %w", v.title, err)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "[") {
			if _, err := fmt.Sscanf(line, "[%d:", &packets); err != nil {
				return 0, fmt.Errorf("%s: save printed %q", v.title, line)
			}
		}
	}
	return packets, nil
}
