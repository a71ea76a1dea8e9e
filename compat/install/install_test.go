package install

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/compat/tool"
)

// kinds are the ways in which distributions hold the names.
var kinds = map[string]func(t *testing.T, root string) *system{
	"alternatives": func(t *testing.T, root string) *system {
		s := newSystem(t, root, "update-alternatives", "dpkg-divert")
		s.variants()
		s.register()
		return s
	},
	"chosen": func(t *testing.T, root string) *system {
		s := newSystem(t, root, "update-alternatives", "dpkg-divert")
		s.variants()
		s.register()
		s.run("update-alternatives", "--set", "iptables", "/usr/sbin/iptables-legacy")
		return s
	},
	"no iptables": func(t *testing.T, root string) *system {
		return newSystem(t, root, "update-alternatives", "dpkg-divert")
	},
	"diversions": func(t *testing.T, root string) *system {
		s := newSystem(t, root, "update-alternatives", "dpkg-divert")
		s.variants()
		s.links("nft")
		return s
	},
	"plain": func(t *testing.T, root string) *system {
		s := newSystem(t, root)
		s.variants()
		s.links("legacy")
		return s
	},
	"plain files": func(t *testing.T, root string) *system {
		s := newSystem(t, root)
		each(func(name string) { s.write("usr/sbin/"+name, "the real "+name) })
		return s
	},
	"plain, none": func(t *testing.T, root string) *system { return newSystem(t, root) },
}

// links makes the plain names links of a package.
func (s *system) links(variant string) {
	each(func(name string) { s.check(os.Symlink("xtables-"+variant+"-multi", s.path("usr/sbin/"+name))) })
}

// TestInstall installs and removes on systems of all kinds: each name is ours, then what it was,
// and nothing else is left.
func TestInstall(t *testing.T) {
	for kind, make := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := make(t, t.TempDir())
			before := s.snapshot()
			if out := s.must("install-compat", "--dry-run"); !strings.Contains(out, "would ") || s.snapshot() != before {
				t.Errorf("a dry run prints\n%s\nand leaves\n%s", out, s.snapshot())
			}
			real := map[string]string{}
			each(func(name string) { real[name] = s.stands(name) })
			s.must("install-compat", "--dialect", "nft")
			s.installed(real)
			after := s.snapshot()
			if out := s.must("install-compat"); strings.Contains(out, "done:") || s.snapshot() != after {
				t.Errorf("again: it prints\n%s", out)
			}
			if dialect, err := os.ReadFile(s.path("etc/bpftables/dialect")); string(dialect) != "nft\n" {
				t.Errorf("dialect %q, %v", dialect, err)
			}
			s.must("remove-compat", "--dry-run")
			if s.snapshot() != after {
				t.Errorf("a dry run changes\n%s", s.snapshot())
			}
			s.must("remove-compat")
			if got := s.snapshot(); got != before {
				t.Errorf("after remove-compat:\n%s\nwant\n%s", got, before)
			}
			if out := s.must("remove-compat"); strings.Contains(out, "done:") {
				t.Errorf("again: it prints\n%s", out)
			}
		})
	}
}

// installed looks whether all names are ours, and where the real programs are.
func (s *system) installed(real map[string]string) {
	s.t.Helper()
	each(func(name string) {
		if got := s.stands(name); got != "/usr/sbin/"+multi {
			s.t.Errorf("%s is %s", name, got)
		}
		link := filepath.Join(tool.RealDir, name)
		if real[name] != "" && strings.HasPrefix(real[name], "/") {
			to, err := os.Readlink(s.path(link))
			if err != nil {
				s.t.Errorf("the real %s: %v", name, err)
				return
			}
			was, err1 := os.ReadFile(s.path(real[name]))
			if now, err2 := os.ReadFile(s.path(to)); err1 == nil && (err2 != nil || string(now) != string(was)) {
				s.t.Errorf("the real %s is %q, was %q (%v)", name, now, was, err2)
			}
		}
	})
}

// TestKilled kills install-compat and remove-compat behind each of their steps: no name is ever
// without a program; the next run completes, and remove-compat undoes.
func TestKilledCompat(t *testing.T) {
	for _, kind := range []string{"chosen", "no iptables", "diversions", "plain files"} {
		t.Run(kind, func(t *testing.T) {
			make := kinds[kind]
			one := make(t, t.TempDir())
			before := one.snapshot()
			real := map[string]string{}
			each(func(name string) { real[name] = one.stands(name) })
			steps := one.steps("install-compat")
			installed := one.snapshot()
			backward := one.steps("remove-compat")
			for _, point := range steps {
				s := make(t, t.TempDir())
				s.killed(point, real, "install-compat")
				s.must("install-compat")
				if got := s.snapshot(); got != installed {
					t.Fatalf("killed at %s, completed:\n%s\nwant\n%s", point, got, installed)
				}
				s = make(t, t.TempDir())
				s.killed(point, real, "install-compat")
				s.must("remove-compat")
				if got := s.snapshot(); got != before {
					t.Fatalf("killed at %s, undone:\n%s\nwant\n%s", point, got, before)
				}
			}
			for _, point := range backward {
				s := make(t, t.TempDir())
				s.must("install-compat")
				s.killed(point, real, "remove-compat")
				s.must("remove-compat")
				if got := s.snapshot(); got != before {
					t.Fatalf("remove-compat killed at %s:\n%s\nwant\n%s", point, got, before)
				}
			}
		})
	}
}

// steps runs a command to its end, and gives its steps.
func (s *system) steps(args ...string) (out []string) {
	s.t.Helper()
	text, err := s.ours("?", args...)
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, text)
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "step" {
			out = append(out, f[1])
		}
	}
	if len(out) < 3 {
		s.t.Fatalf("%v comes to %d steps\n%s", args, len(out), text)
	}
	return out
}

// killed runs a command that is killed at a step. Each name then stands for what it stood for, or
// for us.
func (s *system) killed(point string, real map[string]string, args ...string) {
	s.t.Helper()
	out, err := s.ours(point, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Fatalf("%v is not killed at %s: %v\n%s", args, point, err, out)
	}
	each(func(name string) {
		if got := s.stands(name); got != real[name] && got != "/usr/sbin/"+multi {
			s.t.Errorf("%v killed at %s: %s is %s", args, point, name, got)
		}
	})
}

// TestTogether runs both commands several times at once: in the end, the names are as the last one has left them.
func TestTogether(t *testing.T) {
	for _, kind := range []string{"chosen", "diversions"} {
		s := kinds[kind](t, t.TempDir())
		before := s.snapshot()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				command := []string{"install-compat", "remove-compat"}[i%2]
				if out, err := s.ours("", command); err != nil {
					t.Errorf("%s: %s: %v\n%s", kind, command, err, out)
				}
			})
		}
		all.Wait()
		s.must("remove-compat")
		if got := s.snapshot(); got != before {
			t.Errorf("%s: it leaves\n%s\nwant\n%s", kind, got, before)
		}
	}
}

// TestUpgraded: what a package puts into the place of a name that is a plain link is given back, not
// what was there before.
func TestUpgraded(t *testing.T) {
	for _, again := range []bool{false, true} {
		s := kinds["plain files"](t, t.TempDir())
		s.must("install-compat")
		s.check(os.Remove(s.path("usr/sbin/iptables")))
		s.write("usr/sbin/iptables", "a newer one")
		if again {
			s.must("install-compat")
			if got := s.stands("iptables"); got != "/usr/sbin/"+multi {
				t.Errorf("installed again: iptables is %s", got)
			}
		}
		s.must("remove-compat")
		if text, err := os.ReadFile(s.path("usr/sbin/iptables")); string(text) != "a newer one" {
			t.Errorf("again %v: iptables is %q (%v)", again, text, err)
		}
	}
}

// TestFullDisk: where nothing can be written, nothing is changed, and what was installed can be removed.
func TestFullDisk(t *testing.T) {
	for kind, make := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64m"); err != nil {
				if os.Getenv("REQUIRE_KERNEL") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			s := make(t, dir)
			before := s.snapshot()
			fill := s.path("tmp/fill")
			if err := os.WriteFile(fill, bytes.Repeat([]byte{1}, 64<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Fatal("the disk is not full:", err)
			}
			out, err := s.ours("", "install-compat")
			if err == nil || !strings.Contains(out, "no space left") {
				t.Errorf("on a full disk: %v\n%s", err, out)
			}
			s.check(os.Remove(fill))
			s.must("remove-compat")
			if got := s.snapshot(); got != before {
				t.Errorf("it leaves\n%s\nwant\n%s", got, before)
			}
		})
	}
}

// TestRefused: what cannot be undone is not begun.
func TestRefused(t *testing.T) {
	for what, spoil := range map[string]func(*system){
		"already": func(s *system) { s.write("usr/sbin/iptables.distrib", "of another") },
		"a directory": func(s *system) {
			s.check(os.Remove(s.path("usr/sbin/iptables-save")))
			s.check(os.Mkdir(s.path("usr/sbin/iptables-save"), 0o755))
		},
		"install it beside": func(s *system) { s.check(os.Remove(s.path("usr/sbin/" + multi))) },
	} {
		s := kinds["plain files"](t, t.TempDir())
		spoil(s)
		before := s.snapshot()
		out, err := s.ours("", "install-compat")
		if err == nil || !strings.Contains(out, what) || s.snapshot() != before {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}

// TestFedora reads a group as chkconfig keeps it, in which ip6tables follows iptables.
func TestFedora(t *testing.T) {
	s := newSystem(t, t.TempDir())
	s.check(os.RemoveAll(s.path("var/lib/dpkg")))
	s.variants()
	s.write("usr/sbin/update-alternatives", "for a dry run")
	group := "auto\n/usr/sbin/iptables\nip6tables\n/usr/sbin/ip6tables\nip6tables-save\n/usr/sbin/ip6tables-save\nother\n/usr/sbin/other\n\n" +
		"/usr/sbin/iptables-legacy\n10\n/usr/sbin/ip6tables-legacy\n/usr/sbin/ip6tables-legacy-save\n/usr/sbin/other-legacy\n" +
		"/usr/sbin/iptables-nft\n@nft@10\n/usr/sbin/ip6tables-nft\n/usr/sbin/ip6tables-nft-save\n/usr/sbin/other-nft\n"
	s.write("var/lib/alternatives/iptables", group)
	s.check(os.Symlink("/usr/sbin/iptables-nft", s.path("etc/alternatives/iptables")))
	s.check(os.Symlink("/usr/sbin/ip6tables-nft", s.path("etc/alternatives/ip6tables")))
	out := s.must("install-compat", "--dry-run")
	want := "would run update-alternatives --install /usr/sbin/iptables iptables /usr/sbin/xtables-bpf-multi 100" +
		" --slave /usr/sbin/ip6tables ip6tables /usr/sbin/xtables-bpf-multi --slave /usr/sbin/ip6tables-save ip6tables-save /usr/sbin/xtables-bpf-multi" +
		" --slave /usr/sbin/other other /usr/sbin/other-nft\n"
	if !strings.Contains(out, want) || strings.Count(out, "would run") != 1 || !strings.Contains(out, "real/ip6tables be a link to /usr/sbin/ip6tables-nft\n") {
		t.Errorf("it prints\n%s\nwant\n%s", out, want)
	}
}
