// Package tool runs netfilter's own tools: the iptables of the host, in the variant
// that the host uses.
//
// In: restore text and table names. Out: what iptables-save prints. Refused: hosts
// without the tool, by name. The caller holds the xtables lock; the tools get a
// lock file of their own, so that they do not wait for their parent.
package tool

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// ErrMissing says that the host has no iptables tool.
var ErrMissing = errors.New("netfilter's own tool is not installed; apt-get install iptables")

// Tool is iptables or ip6tables in one of its variants. Two values with the same
// Path are the same tool.
type Tool struct {
	family  packet.Family
	command string // path of the program for one command
	save    string // of the -save program
	restore string
	legacy  bool
	env     []string // of child processes
}

// VariantEnv names the variant ("legacy" or "nft") when the host's choice is not wanted.
const VariantEnv = "BPFTABLES_IPTABLES"

// Find gives the tool that the host's iptables stands for. env says where tools are looked
// for, and is their environment.
func Find(family packet.Family, env []string) (*Tool, error) {
	variant := caller.Getenv(env, VariantEnv)
	if variant == "" {
		variant = HostVariant(family, env)
	}
	return findVariant(family, variant, env)
}

// findVariant gives the tool of a variant, also where only the names without a variant are there, and stand
// for it.
func findVariant(family packet.Family, variant string, env []string) (*Tool, error) {
	t, err := find(family, variant, env)
	if errors.Is(err, ErrMissing) && variant != "" && HostVariant(family, env) == variant {
		if t, err = find(family, "", env); err == nil {
			t.legacy = variant == Legacy
		}
	}
	return t, err
}

// The variants of the tools.
const (
	Legacy = "legacy"
	NFT    = "nft"
)

// Variants gives the tools that the host has, one of each variant at most: what is in
// either kind of table is enforced, whichever the host's iptables stands for.
func Variants(family packet.Family, env []string) ([]*Tool, error) {
	var out []*Tool
	for _, variant := range []string{Legacy, NFT} {
		t, err := findVariant(family, variant, env)
		if errors.Is(err, ErrMissing) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// FindExact gives the tool whose tables are netfilter's reference: iptables-legacy
// where the host has it. The nft variant compiles -p and some matches to expressions
// that do not drop packets with cut headers. VariantEnv overrides it, too.
func FindExact(family packet.Family, env []string) (*Tool, error) {
	if caller.Getenv(env, VariantEnv) != "" {
		return Find(family, env)
	}
	t, err := findVariant(family, Legacy, env)
	if errors.Is(err, ErrMissing) {
		return Find(family, env)
	}
	return t, err
}

// FindAside gives the tool of the variant that the host's iptables is not, where there is one: its tables
// are neither printed nor flushed by the commands that the host's users and programs give. VariantEnv
// overrides it, too.
func FindAside(family packet.Family, env []string) (*Tool, error) {
	host, err := Find(family, env)
	if err != nil || caller.Getenv(env, VariantEnv) != "" {
		return host, err
	}
	all, err := Variants(family, env)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Variant() != host.Variant() {
			return t, nil
		}
	}
	return host, nil
}

func name(family packet.Family) string {
	if family == packet.IPv6 {
		return "ip6tables"
	}
	return "iptables"
}

func find(family packet.Family, variant string, env []string) (*Tool, error) {
	base := name(family)
	if variant != "" {
		base += "-" + variant
	}
	t := &Tool{family: family, legacy: variant != "nft", env: append(slices.Clip(env), "XTABLES_LOCKFILE="+ownLock, InsideEnv+"=1")}
	var err1, err2, err3 error
	t.command, err1 = lookPath(base, env)
	t.save, err2 = lookPath(base+"-save", env)
	t.restore, err3 = lookPath(base+"-restore", env)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("%s: %w", base, ErrMissing)
	}
	return t, nil
}

// RealDir has the programs that the plain names stood for when they were given to us (package
// compat/install), by these names.
const RealDir = "/var/lib/bpftables/real"

// lookPath also looks where a caller without root's PATH would miss it, and where the program is whose name
// we have.
func lookPath(name string, env []string) (string, error) {
	for _, dir := range append(filepath.SplitList(caller.Getenv(env, "PATH")), "/usr/sbin", RealDir) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil && !Ours(p) {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

// smallest is less than a program of ours takes: the tools of netfilter are smaller, and need
// not be looked into.
const smallest = 1 << 20

// Ours says whether a program is one of ours under another name, as where bpftables
// stands in the place of iptables: it would call itself without end.
func Ours(path string) bool {
	them, err := os.Stat(path)
	if err != nil || them.Size() < smallest {
		return false
	}
	if us, err := os.Stat("/proc/self/exe"); err == nil && os.SameFile(them, us) {
		return true
	}
	info, err := buildinfo.ReadFile(path)
	return err == nil && strings.HasPrefix(info.Path, "github.com/bpftables/bpftables/cmd/")
}

// InsideEnv is set for the tools that we run. Where one of them is ours after all, such as a script that
// calls us, it must not run them in turn.
const InsideEnv = "BPFTABLES_INSIDE"

// ErrInside says that a tool that we run has called us.
var ErrInside = errors.New("bpftables was called by a tool of netfilter that bpftables runs: a program of that name calls bpftables; " +
	"let it be found behind netfilter's own, or name another variant in " + VariantEnv)

// HostVariant says which variant the host's iptables is; "" when there is only one
// without a name. A link to the program of all tools of a variant tells it; anything
// else is asked for its version.
func HostVariant(family packet.Family, env []string) string {
	path, err := lookPath(name(family), env)
	if err != nil {
		return "legacy"
	}
	if program, err := filepath.EvalSymlinks(path); err == nil {
		switch filepath.Base(program) {
		case "xtables-nft-multi":
			return "nft"
		case "xtables-legacy-multi":
			return "legacy"
		}
	}
	version := exec.Command(path, "--version")
	version.Env = env
	out, err := version.Output()
	switch {
	case err != nil:
		return ""
	case strings.Contains(string(out), "nf_tables"):
		return "nft"
	case strings.Contains(string(out), "legacy"):
		return "legacy"
	}
	return ""
}

// Path is the path of its restore program.
func (t *Tool) Path() string { return t.restore }

// Variant is Legacy or NFT.
func (t *Tool) Variant() string {
	if t.legacy {
		return Legacy
	}
	return NFT
}

// Name is how people call it: iptables-legacy, ip6tables-nft and so on.
func (t *Tool) Name() string { return name(t.family) + "-" + t.Variant() }

// Run runs one command of the tool for a caller, and gives its exit code. The error is
// that of a program that did not run to its end.
func (t *Tool) Run(c *caller.Caller, args []string) (code int, err error) {
	return t.run(c, t.command, nil, args) // no command of iptables reads its input
}

// RunRestore runs the restore program for a caller, as Run does.
func (t *Tool) RunRestore(c *caller.Caller, text io.Reader, args []string) (code int, err error) {
	return t.run(c, t.restore, text, args)
}

func (t *Tool) run(c *caller.Caller, program string, in io.Reader, args []string) (code int, err error) {
	cmd, done, err := t.child(program, args...)
	if err != nil {
		return 1, err
	}
	defer done()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, c.Out, c.Err
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("%s: %w", program, err)
	}
	return 0, nil
}

// ownLock is the lock file of a child: its first file behind the usual three. The caller
// holds the lock of the host, for which the child would wait; a file in a directory may have
// no place to be, as readers make none.
const ownLock = "/proc/self/fd/3"

// child prepares a run of a program of the tool. done is called after it.
func (t *Tool) child(program string, args ...string) (cmd *exec.Cmd, done func(), err error) {
	fd, err := unix.MemfdCreate("xtables.lock", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("lock file for %s: %w", program, err)
	}
	lock := os.NewFile(uintptr(fd), "xtables.lock")
	cmd = exec.Command(program, args...)
	cmd.Env, cmd.ExtraFiles = t.env, []*os.File{lock}
	return cmd, func() { lock.Close() }, nil
}

// Restore applies restore text to what is there, each table at once. Counters in the
// text are used.
func (t *Tool) Restore(text string) error { return t.restoreWith(text, "-c", "-n") }

// Replace applies restore text in the place of what is in its tables.
func (t *Tool) Replace(text string) error { return t.restoreWith(text, "-c") }

// Try says why the tool would refuse restore text for what is there; nothing is changed.
func (t *Tool) Try(text string) error { return t.restoreWith(text, "-c", "-n", "--test") }

func (t *Tool) restoreWith(text string, args ...string) error {
	return t.said(t.restore, strings.NewReader(text), args)
}

// Command runs one command, and gives what it says if it fails.
func (t *Tool) Command(args ...string) error { return t.said(t.command, nil, args) }

// said runs a program on some input, and gives what it says if it fails.
func (t *Tool) said(program string, in io.Reader, args []string) error {
	cmd, done, err := t.child(program, args...)
	if err != nil {
		return err
	}
	defer done()
	cmd.Stdin = in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// Save gives the text of one table with counters; "" when the kernel has no such
// table in this namespace. Asking iptables-legacy-save for a table would create it,
// and starting a program to hear that there is nothing takes milliseconds.
func (t *Tool) Save(table string) (string, error) {
	if len(t.Present(table)) == 0 {
		return "", nil
	}
	cmd, done, err := t.child(t.save, "-c", "-t", table)
	if err != nil {
		return "", err
	}
	defer done()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s -t %s: %w: %s", t.save, table, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// Any says whether either variant may have one of some tables in this namespace: without
// looking for the tools, which the host may not have.
func Any(family packet.Family, tables ...string) bool {
	for _, legacy := range []bool{true, false} {
		t := &Tool{family: family, legacy: legacy}
		if len(t.Present(tables...)) > 0 {
			return true
		}
	}
	return false
}

// Present gives those of some tables that the kernel has of the tool's in this namespace.
// Where they cannot be listed, the tool is left to say why.
func (t *Tool) Present(tables ...string) []string {
	if t.legacy {
		return t.listed(tables)
	}
	out, err := anchor.Tables(t.family, tables...) // the nft variant keeps them under the same names
	if err != nil {
		return tables
	}
	return out
}

// listed reads the kernel's list of legacy tables in this namespace. The thread's
// own entry is read: the namespace of a thread may differ from its process's.
func (t *Tool) listed(tables []string) (out []string) {
	file := "/proc/thread-self/net/ip_tables_names"
	if t.family == packet.IPv6 {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	names, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	have := strings.Fields(string(names))
	for _, table := range tables {
		if slices.Contains(have, table) {
			out = append(out, table)
		}
	}
	return out
}
