package target

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
)

// reference is a network namespace in which iptables-legacy loads rules.
type reference struct{ ns string }

func newReference(t *testing.T) *reference {
	t.Helper()
	for _, tool := range []string{"ip", "ipset", "iptables-legacy", "ip6tables-legacy"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			if os.Getenv("REQUIRE_KERNEL") != "" {
				t.Fatalf("%s as root is required", tool)
			}
			t.Skipf("netfilter is not asked: %s as root is needed", tool)
		}
	}
	r := &reference{ns: fmt.Sprintf("bt-target-%d", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", r.ns).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", r.ns).Run() })
	set := exec.Command("ip", "netns", "exec", r.ns, "ipset", "create", "row-set", "bitmap:port", "range", "0-1023", "timeout", "0")
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("ipset create: %v: %s", err, out)
	}
	return r
}

// tool runs iptables-legacy or a relative of it in the namespace.
func (r *reference) tool(family byte, suffix string, args ...string) (string, error) {
	name := "iptables-legacy" + suffix
	if family == 6 {
		name = "ip6tables-legacy" + suffix
	}
	if suffix == "" {
		args = append([]string{"-w", "60"}, args...)
	}
	cmd := exec.Command("ip", append([]string{"netns", "exec", r.ns, name}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// answer is what netfilter makes of a rule.
type answer struct {
	refused      error
	prints       string // behind -j
	lists, names string // lines of -nL and -L
}

const userChain = "row"

// ask loads the rule of a row.
func (r *reference) ask(t *testing.T, w *row) answer {
	t.Helper()
	must := func(suffix string, args ...string) string {
		out, err := r.tool(byte(w.family), suffix, args...)
		if err != nil {
			t.Fatalf("%s: %v: %v", w.at, args, err)
		}
		return out
	}
	chain := userChain
	must("", "-t", w.table, "-F")
	must("", "-t", w.table, "-X")
	if len(w.hooks) == 1 {
		chain = w.hooks[0]
	} else {
		must("", "-t", w.table, "-N", chain)
		for _, h := range w.hooks {
			must("", "-t", w.table, "-A", h, "-j", chain)
		}
	}
	if _, err := r.tool(byte(w.family), "", append([]string{"-t", w.table, "-A", chain}, w.args...)...); err != nil {
		return answer{refused: err}
	}
	a := answer{}
	for _, line := range strings.Split(must("-save", "-t", w.table), "\n") {
		if strings.HasPrefix(line, "-A "+chain+" ") {
			_, a.prints, _ = strings.Cut(line, "-j ")
		}
	}
	a.lists = lastLine(must("", "-t", w.table, "-n", "-L", chain))
	a.names = lastLine(must("", "-t", w.table, "-L", chain))
	return a
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return lines[len(lines)-1]
}

// agree compares what netfilter says of a row with what this package says.
func (r *reference) agree(t *testing.T, w *row) {
	t.Helper()
	got := r.ask(t, w)
	target, _, err := w.verdict()
	if (err != nil) != (got.refused != nil) {
		t.Errorf("%s: %v: netfilter: %v, here: %v", w.at, w.args, got.refused, err)
	}
	if err != nil || got.refused != nil {
		return
	}
	text := ruleset.TextOf(target)
	if got.prints != text {
		t.Errorf("%s: %v: netfilter prints %q, here %q", w.at, w.args, got.prints, text)
	}
	if !strings.HasSuffix(got.lists, list(target, nil)) {
		t.Errorf("%s: %v: netfilter lists %q, here %q", w.at, w.args, got.lists, list(target, nil))
	}
	if !strings.HasSuffix(got.names, list(target, noNames{})) {
		t.Errorf("%s: %v: netfilter lists with names %q, here %q", w.at, w.args, got.names, list(target, noNames{}))
	}
}

// TestNetfilterAgrees asks netfilter about every row.
func TestNetfilterAgrees(t *testing.T) {
	ref := newReference(t)
	asked, unconfirmed := 0, 0
	for _, k := range Kinds {
		for _, w := range readRows(t, filepath.Join("testdata", k.Name+".txt")) {
			if w.unconfirmed != "" {
				unconfirmed++
				continue
			}
			asked++
			ref.agree(t, w)
		}
	}
	t.Logf("%d rows confirmed by netfilter, %d not", asked, unconfirmed)
}

// TestIptablesTestFiles asks about every line of the test files of iptables
// (extensions/lib*_WORD.t of its source), which are found through
// BPFTABLES_IPTABLES_SOURCE.
func TestIptablesTestFiles(t *testing.T) {
	source := os.Getenv("BPFTABLES_IPTABLES_SOURCE")
	if source == "" {
		t.Skip("BPFTABLES_IPTABLES_SOURCE does not name a source tree of iptables")
	}
	ref := newReference(t)
	for _, k := range Kinds {
		for prefix, families := range map[string]string{"libxt": "46", "libipt": "4", "libip6t": "6"} {
			file := filepath.Join(source, "extensions", prefix+"_"+k.Name+".t")
			if slices.Contains([]string{"LED", "SECMARK", "SET"}, k.Name) {
				continue // need a kernel option, a security module, a set
			}
			if data, err := os.ReadFile(file); err == nil {
				for _, w := range testFileRows(t, filepath.Base(file), families, string(data)) {
					ref.agree(t, w)
				}
			}
		}
	}
}

// testFileRows reads the lines ARGUMENTS;PRINTED;RESULT of a test file. Its
// results are not used: the installed iptables is asked.
func testFileRows(t *testing.T, file, families, text string) []*row {
	table, hooks := "filter", []string{}
	var rows []*row
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, ":"):
			hooks = strings.Split(line[1:], ",")
		case strings.HasPrefix(line, "*"):
			table = strings.Split(line[1:], ",")[0]
		case strings.HasPrefix(line, "-"):
			args, _, _ := strings.Cut(line, ";")
			for _, h := range hooks {
				value := families + " " + table + "/" + h + " " + args
				rows = append(rows, newRows(t, fmt.Sprintf("%s:%d", file, i+1), value)...)
			}
		}
	}
	return slices.DeleteFunc(rows, func(r *row) bool { return !slices.Contains(r.args, "-j") })
}
