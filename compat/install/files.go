package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/compat/whole"
)

// dirs are where programs of iptables are, in the order in which they are looked for.
var dirs = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"}

// asideSuffix is what dpkg-divert(1) puts behind the name of a file that it moves aside.
const asideSuffix = ".distrib"

// program finds a program of the distribution.
func program(name string) (string, error) {
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

func (h *Host) command(name string, args ...string) (*exec.Cmd, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader("")                                       // a chroot may have no /dev/null
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DPKG_MAINTSCRIPT_PACKAGE=") // it may be called by a script of a package
	return cmd, nil
}

// single are the names of one command as files: of a package, which dpkg is told about, or whatever they
// are.
type single struct {
	name string
	dir  string
	dpkg bool
}

// files is how names are held that no group stands for. Where dpkg is and the host has no iptables yet, a group
// is begun: the package iptables will add to it.
func (h *Host) files(gs *groups, name string) (holder, error) {
	s := &single{name: name, dir: dirs[0]}
	for _, f := range h.record.of(name).Files {
		s.dir, s.dpkg = filepath.Dir(f.Path), f.Dpkg
		return s, nil
	}
	found := false
	for _, dir := range dirs {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			s.dir, found = dir, true
			break
		}
	}
	_, err := program("dpkg-divert")
	s.dpkg = err == nil
	if !found && gs.dir == adminDirs[0] {
		g := &group{name: name, link: filepath.Join(s.dir, name)}
		for _, p := range programs[1:] {
			g.slaves = append(g.slaves, slave{name + p, filepath.Join(s.dir, name+p)})
		}
		return g, nil
	}
	return s, nil
}

func (s *single) was(b *before) error {
	if len(b.Files) > 0 {
		return nil
	}
	for _, p := range programs {
		f := file{Path: filepath.Join(s.dir, s.name+p), Dpkg: s.dpkg}
		switch st, err := os.Lstat(f.Path); {
		case errors.Is(err, fs.ErrNotExist):
			f.Dpkg = false
		case err != nil:
			return err
		case st.IsDir():
			return fmt.Errorf("%s is a directory; move it away", f.Path)
		case !ours(f.Path):
			f.Aside = f.Path + asideSuffix
		}
		there, err := exists(f.Aside)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%s is there already: another program has moved %s aside; undo that first", f.Aside, f.Path)
		}
		b.Files = append(b.Files, f)
	}
	return nil
}

func (s *single) install(h *Host, b *before) error {
	for i := range b.Files {
		if err := s.installFile(h, &b.Files[i]); err != nil {
			return err
		}
	}
	return nil
}

// installFile puts our program in the place of a file. The file is aside before, and the name is
// never without a program. A package may have put a newer one there since: that is kept then.
func (s *single) installFile(h *Host, f *file) error {
	if f.Dpkg {
		if err := h.divert(f, divertAdd); err != nil {
			return err
		}
	}
	if to, err := os.Readlink(f.Path); err == nil && to == h.Program {
		return nil
	}
	aside, err := exists(f.Aside)
	if err != nil {
		return err
	}
	there, err := exists(f.Path)
	if err != nil {
		return err
	}
	// What is aside already and known to dpkg is the package's newest.
	if f.Aside != "" && there && !ours(f.Path) && !(aside && f.Dpkg) {
		if err := h.do(func() error { return twin(f.Path, f.Aside) }, "keep %s as %s", f.Path, f.Aside); err != nil {
			return err
		}
	}
	return h.do(func() error { return whole.Link(h.Program, f.Path) }, "let %s be a link to %s", f.Path, h.Program)
}

// Options of dpkg-divert(1).
const (
	divertAdd    = "--add"
	divertRemove = "--remove"
)

// divert tells dpkg that a package's file is aside, where its next version is unpacked then, or that it is in its
// place again.
func (h *Host) divert(f *file, option string) error {
	cmd, err := h.command("dpkg-divert", "--truename", f.Path)
	if err != nil {
		return err
	}
	out, err := cmd.Output()
	if aside := string(out) == f.Aside+"\n"; err != nil || aside == (option == divertAdd) {
		return err
	}
	return h.run("dpkg-divert", "--local", "--no-rename", "--divert", f.Aside, option, f.Path)
}

func (s *single) remove(h *Host, b *before) error {
	for i := range b.Files {
		f := &b.Files[i]
		if err := s.removeFile(h, f); err != nil {
			return err
		}
	}
	return nil
}

// removeFile puts back what was there.
func (s *single) removeFile(h *Host, f *file) error {
	if err := h.putBack(f); err != nil {
		return err
	}
	if f.Dpkg {
		return h.divert(f, divertRemove)
	}
	return nil
}

func (h *Host) putBack(f *file) error {
	for _, path := range []string{f.Path, f.Aside} {
		if h.DryRun || path == "" {
			continue
		}
		if err := whole.Remove(path + whole.Suffix); err != nil { // of a run that was killed
			return err
		}
	}
	_, err := os.Lstat(f.Path)
	free := errors.Is(err, fs.ErrNotExist)
	mine := !free && ours(f.Path)
	if there, err := exists(f.Aside); err != nil {
		return err
	} else if there && (free || mine || f.Dpkg) {
		return h.do(func() error { return os.Rename(f.Aside, f.Path) }, "put %s back to %s", f.Aside, f.Path)
	} else if there {
		return h.do(func() error { return os.Remove(f.Aside) }, "remove %s, as %s is newer", f.Aside, f.Path)
	}
	if !mine {
		return nil
	}
	// There was none, or its package is gone. The directory is the distribution's.
	return h.do(func() error { return os.Remove(f.Path) }, "remove %s", f.Path)
}

// exists says whether there is a file; "" is none.
func exists(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (s *single) paths() (map[string]string, error) {
	out := map[string]string{}
	for _, p := range programs {
		path := filepath.Join(s.dir, s.name+p)
		to, err := os.Readlink(path)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		out[path] = to
	}
	return out, nil
}

// twin lets a second name stand for what a first one is: a link of the same content, or the same file.
func twin(from, to string) error {
	target, err := os.Readlink(from)
	if err == nil {
		return whole.Link(target, to)
	}
	return whole.Replace(to, func(next string) error { return os.Link(from, next) })
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// keepReal lets names in tool.RealDir stand for the programs that the plain names stand for: a
// name says which of its parts a program such as xtables-nft-multi plays.
func (h *Host) keepReal(holders []named) error {
	for _, k := range holders {
		paths, err := k.paths()
		if err != nil {
			return err
		}
		asides := map[string]string{}
		for _, f := range h.record.of(k.name).Files {
			asides[f.Path] = f.Aside
		}
		for _, path := range sorted(paths) {
			to := paths[path]
			if aside, ok := asides[path]; ok {
				to = aside
			}
			if to == "" || ours(to) {
				continue
			}
			real := filepath.Join(tool.RealDir, filepath.Base(path))
			if have, err := os.Readlink(real); err == nil && have == to {
				continue
			}
			if err := h.do(func() error { return whole.Link(to, real) }, "let %s be a link to %s", real, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetReal removes these links.
func (h *Host) forgetReal() error {
	all, err := os.ReadDir(tool.RealDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := h.delete(filepath.Join(tool.RealDir, one.Name())); err != nil {
			return err
		}
	}
	return nil
}
