// Package tool runs netfilter's own tools: the iptables of the host, in the variant
// that the host uses.
//
// In: restore text and table names. Out: what iptables-save prints. Refused: hosts
// without the tool, by name. The caller holds the xtables lock; the tools get a
// lock file of their own, so that they do not wait for their parent.
package tool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// ErrMissing says that the host has no iptables tool.
var ErrMissing = errors.New("netfilter's own tool is not installed; apt-get install iptables")

// Tool is iptables or ip6tables in one of its variants. Two values with the same
// Path are the same tool.
type Tool struct {
	family  packet.Family
	save    string // path of the -save program
	restore string
	legacy  bool
	env     []string // of child processes
}

// VariantEnv names the variant ("legacy" or "nft") when the host's choice is not wanted.
const VariantEnv = "BPFTABLES_IPTABLES"

// Find gives the tool that the host's iptables stands for. lock is a file that
// only children of this process use. env says where tools are looked for, and is
// their environment.
func Find(family packet.Family, lock string, env []string) (*Tool, error) {
	variant := caller.Getenv(env, VariantEnv)
	if variant == "" {
		variant = hostVariant(name(family), env)
	}
	return find(family, variant, lock, env)
}

// FindExact gives the tool whose tables are netfilter's reference: iptables-legacy
// where the host has it. The nft variant compiles -p and some matches to expressions
// that do not drop packets with cut headers. VariantEnv overrides it, too.
func FindExact(family packet.Family, lock string, env []string) (*Tool, error) {
	if caller.Getenv(env, VariantEnv) != "" {
		return Find(family, lock, env)
	}
	t, err := find(family, "legacy", lock, env)
	if errors.Is(err, ErrMissing) {
		return Find(family, lock, env)
	}
	return t, err
}

func name(family packet.Family) string {
	if family == packet.IPv6 {
		return "ip6tables"
	}
	return "iptables"
}

func find(family packet.Family, variant, lock string, env []string) (*Tool, error) {
	base := name(family)
	if variant != "" {
		base += "-" + variant
	}
	t := &Tool{family: family, legacy: variant != "nft", env: append(slices.Clip(env), "XTABLES_LOCKFILE="+lock)}
	var err1, err2 error
	t.save, err1 = lookPath(base+"-save", env)
	t.restore, err2 = lookPath(base+"-restore", env)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%s: %w", base, ErrMissing)
	}
	return t, nil
}

// lookPath also looks where a caller without root's PATH would miss it.
func lookPath(name string, env []string) (string, error) {
	for _, dir := range append(filepath.SplitList(caller.Getenv(env, "PATH")), "/usr/sbin") {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

// hostVariant says which variant the host's iptables is; "" when there is only one
// without a name. A link to the program of all tools of a variant tells it; anything
// else is asked for its version.
func hostVariant(name string, env []string) string {
	path, err := lookPath(name, env)
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

// Restore applies restore text to what is there, each table at once. Counters in the
// text are used.
func (t *Tool) Restore(text string) error {
	cmd := exec.Command(t.restore, "-c", "-n")
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = t.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", t.restore, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// Save gives the text of one table with counters; "" when the kernel has no such
// table in this namespace. Asking iptables-legacy-save for a table would create it,
// and starting a program to hear that there is nothing takes milliseconds.
func (t *Tool) Save(table string) (string, error) {
	if t.legacy && !t.exists(table) || !t.legacy && !t.existsNFT(table) {
		return "", nil
	}
	cmd := exec.Command(t.save, "-c", "-t", table)
	cmd.Env = t.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s -t %s: %w: %s", t.save, table, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// exists reads the kernel's list of legacy tables in this namespace. The thread's
// own entry is read: the namespace of a thread may differ from its process's.
func (t *Tool) exists(table string) bool {
	file := "/proc/thread-self/net/ip_tables_names"
	if t.family == packet.IPv6 {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	names, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for _, name := range strings.Fields(string(names)) {
		if name == table {
			return true
		}
	}
	return false
}

// existsNFT looks for the table among those of nf_tables in this namespace, where the
// nft variant keeps it under the same name. Where they cannot be listed, the tool is
// left to say why.
func (t *Tool) existsNFT(table string) bool {
	family := nftables.TableFamilyIPv4
	if t.family == packet.IPv6 {
		family = nftables.TableFamilyIPv6
	}
	c, err := nftables.New()
	if err != nil {
		return true
	}
	tables, err := c.ListTablesOfFamily(family)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(tables, func(have *nftables.Table) bool { return have.Name == table })
}
