package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// built are our programs, with fail points.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bpftables-install")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-tags", "failpoints", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "../../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil && dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// system is a small system below a directory: our programs, programs that stand for those of
// iptables, and what of dpkg is asked for.
type system struct {
	t    *testing.T
	root string
	bin  string
}

// newSystem makes one in which there are some programs of the distribution.
func newSystem(t *testing.T, root string, with ...string) *system {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t, root, bin}
	for _, dir := range []string{"usr/sbin", "etc/alternatives", "var/log", "var/lib/dpkg/alternatives", "var/lib/dpkg/info", "tmp"} {
		s.check(os.MkdirAll(s.path(dir), 0o755))
	}
	s.check(os.Symlink("usr/sbin", s.path("sbin")))
	s.write("var/lib/dpkg/status", "")
	for _, name := range with {
		s.bring(name)
	}
	if os.Link(filepath.Join(bin, multi), s.path("usr/sbin/"+multi)) != nil { // another file system
		program, err := os.ReadFile(filepath.Join(bin, multi))
		s.check(err)
		s.write("usr/sbin/"+multi, string(program))
	}
	return s
}

func (s *system) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) path(name string) string { return filepath.Join(s.root, name) }

func (s *system) write(name, text string) {
	s.t.Helper()
	s.check(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.check(os.WriteFile(s.path(name), []byte(text), 0o755))
}

var library = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// bring copies a program of this host, with its libraries.
func (s *system) bring(name string) {
	s.t.Helper()
	from, err := program(name)
	if err != nil {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			s.t.Fatal(err)
		}
		s.t.Skip(err)
	}
	libraries, err := exec.Command("ldd", from).Output()
	s.check(err)
	files := []string{from}
	for _, m := range library.FindAllStringSubmatch(string(libraries), -1) {
		files = append(files, m[1])
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		s.check(err)
		s.write(f, string(data))
	}
}

// variants puts the programs of both variants there, as distributions have them.
func (s *system) variants() {
	s.t.Helper()
	for _, v := range []string{"legacy", "nft"} {
		s.write("usr/sbin/xtables-"+v+"-multi", v)
		for _, name := range commands {
			for _, p := range programs {
				s.check(os.Symlink("xtables-"+v+"-multi", s.path("usr/sbin/"+name+"-"+v+p)))
			}
		}
	}
}

// register makes the groups that Debian's iptables has.
func (s *system) register() {
	s.t.Helper()
	for i, v := range []string{"legacy", "nft"} {
		for _, name := range commands {
			at := "/usr/sbin/" + name
			s.run("update-alternatives", "--install", at, name, at+"-"+v, fmt.Sprint(10+10*i),
				"--slave", at+"-restore", name+"-restore", at+"-"+v+"-restore", "--slave", at+"-save", name+"-save", at+"-"+v+"-save")
		}
	}
}

// run runs a program of the system.
func (s *system) run(name string, args ...string) {
	s.t.Helper()
	cmd := exec.Command("chroot", append([]string{s.root, name}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// ours runs bpftables on the system, with a fail point. It is killed, or ends with what is given.
func (s *system) ours(point string, args ...string) (out string, err error) {
	cmd := exec.Command(filepath.Join(s.bin, "bpftables"), append(args, "--root", s.root)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_FAILPOINT="+point)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func (s *system) must(args ...string) string {
	s.t.Helper()
	out, err := s.ours("", args...)
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// snapshot is all that the system has, but for logs, locks, copies of databases and the order in which things were made.
func (s *system) snapshot() string {
	s.t.Helper()
	var out []string
	s.check(filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(s.root, path)
		switch {
		case d.IsDir() && name != "var/lib/dpkg":
			return nil
		case strings.HasPrefix(name, "var/log/"), strings.HasSuffix(name, "-old"), strings.HasPrefix(name, "var/lib/dpkg/lock"), d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			out = append(out, name+" -> "+to)
			return err
		case d.Type().IsRegular():
			st, err := d.Info()
			if err == nil && st.Size() < 1<<16 && st.Size() > 0 {
				text, err := os.ReadFile(path)
				out = append(out, name+" "+st.Mode().String()+": "+string(text))
				return err
			}
			if err == nil && st.Size() > 0 {
				out = append(out, fmt.Sprint(name, " ", st.Size()))
			}
			return err
		}
		return nil
	}))
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// stands says what a name stands for: the path of the program, as the system sees it.
func (s *system) stands(name string) string {
	s.t.Helper()
	path := "/usr/sbin/" + name
	for range 10 {
		to, err := os.Readlink(s.path(path))
		if errors.Is(err, syscall.EINVAL) {
			return path
		}
		if err != nil {
			return "nothing"
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "a loop"
}

// each calls f for each plain name.
func each(f func(name string)) {
	for _, name := range commands {
		for _, p := range programs {
			f(name + p)
		}
	}
}
