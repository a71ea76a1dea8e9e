// Command bench measures what a packet and a restore cost with bpftables, with
// iptables-legacy, with iptables-nft and with no firewall, all in one run.
//
// In: the number of rules and rounds, and the bpftables program to measure. Out: the
// page docs/benchmarks.md, and one line per target of the project that says whether
// it is met. Refused: running without root, or without one of the iptables tools.
//
// A packet's cost is the kernel's time per frame, where frames are fed into the receive path
// of a network namespace by BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES
// (net/bpf/test_run.c, bpf_test_run_xdp_live): the program returns XDP_PASS, and the
// kernel builds a packet from each frame and takes it through the stack, in the same
// thread. Runs of all variants alternate and the fastest of each counts, so that what
// else the machine does falls on all alike. Only ratios carry over to other machines.
//
// Examples:
//
//	bench -bpftables bin/bpftables -o docs/benchmarks.md
//	bench -rules 1,10
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	short := flag.Bool("short", os.Getenv("BENCH_SHORT") != "", "only see that everything runs (env BENCH_SHORT)")
	program := flag.String("bpftables", "bin/bpftables", "the bpftables program")
	rules := flag.String("rules", "", "only packets, with these numbers of rules: 1,10")
	out := flag.String("o", "", "file to write the page to; standard output by default")
	flag.Parse()
	size := full
	if *short {
		size = small
	}
	err := size.limit(*rules)
	if err == nil {
		err = run(*program, size, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything and writes the page.
func run(program string, size size, out string) (err error) {
	lock, err := os.CreateTemp("", "bench-lock")
	if err != nil {
		return err
	}
	defer os.Remove(lock.Name())
	defer lock.Close()
	// Not the lock that others wait for: the namespaces are ours.
	if err := os.Setenv("XTABLES_LOCKFILE", lock.Name()); err != nil {
		return err
	}
	variants, err := newVariants(program)
	if err != nil {
		return err
	}
	defer func() {
		for _, v := range variants {
			if e := v.remove(); err == nil {
				err = e
			}
		}
	}()
	results, err := measure(variants, size, os.Stderr)
	if err != nil {
		return err
	}
	if err := write(out, results); err != nil {
		return err
	}
	results.targets(os.Stderr)
	return nil
}

func write(file string, r *results) error {
	var w io.Writer = os.Stdout
	if file != "" {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		defer f.Close()
		w = f
	}
	return r.page(w)
}
