package iptables_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// oracle is the real iptables-legacy in a network namespace of its own.
type oracle struct {
	ns     string
	prefix string // "iptables" or "ip6tables"
}

var oracles atomic.Int64

// haveOracle skips the test where the real tool cannot be asked; with
// REQUIRE_KERNEL=1 it fails instead.
func haveOracle(t *testing.T) {
	t.Helper()
	why := ""
	if os.Geteuid() != 0 {
		why = "not root"
	} else if _, err := exec.LookPath("iptables-legacy-restore"); err != nil {
		why = "no iptables-legacy-restore"
	} else if out, err := exec.Command("iptables-legacy", "--version").Output(); err != nil || !strings.Contains(string(out), "1.8.9") {
		why = "iptables-legacy is not 1.8.9"
	}
	if why == "" {
		return
	}
	if os.Getenv("REQUIRE_KERNEL") == "1" {
		t.Fatal("cannot ask the real tool: ", why)
	}
	t.Skip("cannot ask the real tool: ", why)
}

// newOracle makes a namespace that goes with the test.
func newOracle(t *testing.T, family packet.Family) *oracle {
	t.Helper()
	o := &oracle{ns: fmt.Sprintf("bt-ipt%d-%d", os.Getpid(), oracles.Add(1)), prefix: "iptables"}
	if family == packet.IPv6 {
		o.prefix = "ip6tables"
	}
	if out, err := exec.Command("ip", "netns", "add", o.ns).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s", err, out)
	}
	t.Cleanup(func() { o.close() })
	return o
}

func (o *oracle) close() {
	if o.ns != "" {
		exec.Command("ip", "netns", "del", o.ns).Run()
		o.ns = ""
	}
}

// run gives what a command of the suite prints in the namespace.
func (o *oracle) run(stdin, suffix string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", o.ns, o.prefix + "-legacy" + suffix}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// save is what iptables-legacy-save prints, without comment lines.
func (o *oracle) save(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := o.run("", "-save", args...)
	if err != nil {
		t.Fatalf("%s-legacy-save: %v: %s", o.prefix, err, errs)
	}
	return withoutComments(out)
}

func withoutComments(s string) string {
	var b strings.Builder
	for _, l := range strings.SplitAfter(s, "\n") {
		if !strings.HasPrefix(l, "#") {
			b.WriteString(l)
		}
	}
	return b.String()
}
