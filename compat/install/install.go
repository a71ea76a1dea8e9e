// Package install lets the plain names of iptables' programs (iptables, ip6tables-restore and
// so on) stand for ours, and gives them back.
//
// In: what the distribution has: a group of update-alternatives for the names (Debian, Ubuntu,
// Fedora, openSUSE), files that dpkg-divert moves aside, or plain files. Out: names that are
// links to xtables-bpf-multi, links to the programs that they stood for (tool.RealDir), the
// dialect that they speak (face.DialectFile), and a record of what was there. Refused, with
// nothing changed: a host without our program, and names that another program holds in a way
// that none of the three can undo. arptables and ebtables are left alone.
//
// At every moment each name stands for one program or the other: links are replaced by
// rename(2). The record is written before the first change and removed behind the last one,
// and each step looks at what is there: a run that was killed is completed by the next one,
// or undone by Remove. Rules are none of this package's business (compat/takeover).
package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/compat/face"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/compat/whole"
)

// Host is what the names are installed on.
type Host struct {
	Program string    // our xtables-bpf-multi
	DryRun  bool      // say what would be done, change nothing
	Report  io.Writer // gets a line for each step
	record  *record
	lock    *os.File // is held while names are changed, also by what we run
}

// commands are the names that all others hang on.
var commands = []string{"iptables", "ip6tables"}

// programs are what stands behind the name of a command.
var programs = []string{"", "-restore", "-save"}

// holder is the way in which the names of a command are held on this host.
type holder interface {
	// was notes what the names stand for, where that is not ours.
	was(*before) error
	install(*Host, *before) error
	remove(*Host, *before) error
	// paths are the names with their directories, and what each of them stands for.
	paths() (map[string]string, error)
}

// Install lets the plain names stand for our program, which then speaks a dialect.
func (h *Host) Install(dialect string) error {
	if !tool.Ours(h.Program) {
		return fmt.Errorf("%s: no program of bpftables that stands for those of iptables; install it beside bpftables", h.Program)
	}
	if err := h.alone(); err != nil {
		return err
	}
	defer h.lock.Close()
	holders, err := h.holders()
	if err != nil {
		return err
	}
	if err := h.remember(holders, dialect); err != nil {
		return err
	}
	if err := h.keepReal(holders); err != nil {
		return err
	}
	if err := h.speak(dialect); err != nil {
		return err
	}
	for _, k := range holders {
		if err := k.install(h, h.record.of(k.name)); err != nil {
			return fmt.Errorf("%w; run install-compat again, or remove-compat", err)
		}
	}
	if h.DryRun {
		return nil
	}
	return h.verify()
}

// Remove gives the names back.
func (h *Host) Remove() error {
	if err := h.alone(); err != nil {
		return err
	}
	defer h.lock.Close()
	holders, err := h.holders()
	if err != nil {
		return err
	}
	for _, k := range holders {
		if err := k.remove(h, h.record.of(k.name)); err != nil {
			return fmt.Errorf("%w; run remove-compat again", err)
		}
	}
	if err := h.forgetReal(); err != nil {
		return err
	}
	if err := h.delete(face.DialectFile); err != nil {
		return err
	}
	return h.delete(recordFile)
}

// lockDir is locked while names are changed: it is there on every host, and nothing is left of the lock.
const lockDir = "/var/lib"

// alone waits until nobody else changes the names, and reads the record then. Programs that we run inherit the
// lock: those of a run that was killed are waited for.
func (h *Host) alone() error {
	err := os.MkdirAll(lockDir, 0o755)
	if err == nil {
		h.lock, err = os.Open(lockDir)
	}
	if err != nil {
		return err
	}
	for {
		if err = unix.Flock(int(h.lock.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err = os.NewSyscallError("flock", err); err == nil {
		h.record, err = recall()
	}
	if err != nil {
		return errors.Join(err, h.lock.Close())
	}
	return nil
}

// named is how the names of one command are held.
type named struct {
	name string
	holder
}

// holders finds out how the names of each command are held.
func (h *Host) holders() ([]named, error) {
	groups, err := findGroups()
	if err != nil {
		return nil, err
	}
	var out []named
	for _, name := range commands {
		g, follows := groups.of(name)
		switch {
		case follows: // it goes with the group of another name
		case g != nil:
			out = append(out, named{name, g})
		default:
			files, err := h.files(groups, name)
			if err != nil {
				return nil, err
			}
			out = append(out, named{name, files})
		}
	}
	return out, nil
}

// Dialect is the dialect of the program that the plain names stand for, or have stood for; "" if there
// is none.
func (h *Host) Dialect() (string, error) {
	r, err := recall()
	if err != nil {
		return "", err
	}
	return r.Dialect, nil
}

// do does a step, or says that it would. It is said in the infinitive.
func (h *Host) do(step func() error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if h.DryRun {
		fmt.Fprintln(h.Report, "would", what)
		return nil
	}
	if err := step(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Fprintln(h.Report, "done:", what)
	failpoint.At("compat")
	return nil
}

// delete removes a file, if it is there, and what a killed run was about to put there.
func (h *Host) delete(path string) error {
	if !h.DryRun {
		if err := whole.Remove(path + whole.Suffix); err != nil {
			return err
		}
	}
	if there, err := exists(path); err != nil || !there {
		if err == nil && !h.DryRun {
			_ = os.Remove(filepath.Dir(path)) // only if nothing is left there
		}
		return err
	}
	return h.do(func() error {
		err := os.Remove(path)
		if err == nil {
			_ = os.Remove(filepath.Dir(path))
		}
		return err
	}, "remove %s", path)
}

// speak stores the dialect.
func (h *Host) speak(dialect string) error {
	if text, err := os.ReadFile(face.DialectFile); err == nil && string(text) == dialect+"\n" {
		return nil
	}
	return h.do(func() error { return whole.Write(face.DialectFile, []byte(dialect+"\n"), 0o644) },
		"let the plain names speak as iptables-%s does (%s)", dialect, face.DialectFile)
}

// verify makes sure that all names stand for our program.
func (h *Host) verify() error {
	others, err := h.others()
	if err != nil || len(others) == 0 {
		return err
	}
	return fmt.Errorf("%s is still not ours: another program has put it there, or has a higher priority; move it away, then run install-compat again", others[0])
}

// others are the names that do not stand for our program.
func (h *Host) others() (out []string, err error) {
	holders, err := h.holders()
	if err != nil {
		return nil, err
	}
	for _, k := range holders {
		paths, err := k.paths()
		if err != nil {
			return nil, err
		}
		for _, path := range sorted(paths) {
			if !tool.Ours(path) {
				out = append(out, path)
			}
		}
	}
	return out, nil
}

// Names is what became of the names since install-compat was run.
type Names struct {
	Dialect string   `json:"dialect"`
	Program string   `json:"program"`
	Others  []string `json:"others,omitempty"` // names that do not stand for it any more
}

// Now gives what became of the names; nil if they are not ours.
func Now() (*Names, error) {
	r, err := recall()
	if err != nil || r.Program == "" {
		return nil, err
	}
	others, err := (&Host{record: r}).others()
	if err != nil {
		return nil, err
	}
	dialect, err := os.ReadFile(face.DialectFile) // the administrator may have changed it
	return &Names{strings.TrimSpace(string(dialect)), r.Program, others}, err
}
