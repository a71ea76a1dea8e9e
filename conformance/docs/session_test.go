package docs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpftables/bpftables/conformance/box"
)

// TestReadmeSession runs the commands of README.md's console blocks one after the
// other in one shell, and compares what they print.
func TestReadmeSession(t *testing.T) {
	needRoot(t)
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing to do unless the session stopped half-way
		_ = exec.Command("ip", "netns", "exec", "tour", "../../bin/bpftables", "flush", "--all").Run()
		_ = exec.Command("ip", "netns", "del", "tour").Run()
	})
	sh := newShell(t)
	got := console.ReplaceAllStringFunc(string(text), func(block string) string {
		return "```console\n" + sh.replay(t, console.FindStringSubmatch(block)[1]) + "```"
	})
	if masked(got) == masked(string(text)) {
		return
	}
	if *update {
		same(t, readme, got)
		return
	}
	have, want := strings.Split(got, "\n"), strings.Split(string(text), "\n")
	for i := range have {
		if i >= len(want) || masked(have[i]) != masked(want[i]) {
			t.Fatalf("README.md:%d: the session prints\n%s\nrun 'go test ./conformance/docs -update' and review", i+1, have[i])
		}
	}
}

// TestReadmeCommands runs every line of README.md's sh blocks on its own.
func TestReadmeCommands(t *testing.T) {
	needRoot(t)
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range shell.FindAllStringSubmatch(string(text), -1) {
		for _, line := range strings.Split(strings.TrimSpace(block[1]), "\n") {
			command, _, _ := strings.Cut(line, "#")
			command = strings.TrimSpace(command)
			if elsewhere[command] {
				continue
			}
			t.Run(strings.ReplaceAll(command, " ", "_"), func(t *testing.T) { runLine(t, command) })
		}
	}
	if ci, err := os.ReadFile("../../.ci/run"); err != nil || !strings.Contains(string(ci), "make test\n") {
		t.Errorf(".ci/run does not run 'make test' (%v)", err)
	}
}

// elsewhere are commands that another test runs: .ci/run is "make test", which runs this test; TestPackages builds
// packages and installs them, on no host.
var elsewhere = map[string]bool{"make test": true, "make packages": true, "dpkg -i dist/bpftables_*.deb": true}

// changesHost are commands that change more than rules.
var changesHost = regexp.MustCompile("^bpftables (install-compat|remove-compat|persist)")

var (
	console = regexp.MustCompile("(?s)```console\n(.*?)```")
	shell   = regexp.MustCompile("(?s)```sh\n(.*?)```")
	// What differs from run to run and machine to machine.
	changing = regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ [\d:]+ \d{4}|\d+(\.\d+)? (KiB|MiB|instructions|maps)\b|\d+ packets, \d+ counters compared|Linux \d[\w.+-]*`)
)

func masked(s string) string { return changing.ReplaceAllString(s, "?") }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("REQUIRE_KERNEL") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// environment is that of a user in the repository who has bin in the path and the
// lock to himself; what make sets for its children does not reach them.
func environment(t *testing.T) (env []string) {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") {
			env = append(env, v)
		}
	}
	dir := t.TempDir()
	return append(env, "PATH="+bin+":"+os.Getenv("PATH"), "BENCH_SHORT=1",
		"DESTDIR="+dir, "XTABLES_LOCKFILE="+dir+"/lock", "BPFTABLES_SERVE="+dir+"/serve.sock")
}

// runLine runs a line; the program itself runs in a network namespace that ends with
// it, and one that goes on behind the line is ended as soon as it serves.
func runLine(t *testing.T, command string) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	line := []string{"bash", "-c", command}
	if strings.HasPrefix(command, "bpftables ") {
		line = append([]string{"ip", "netns", "exec", scratch(t)}, line...)
	}
	if changesHost.MatchString(command) {
		line = box.Command(t.TempDir(), command).Args
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = "../..", environment(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	goesOn := strings.HasSuffix(command, "&")
	var printed strings.Builder
	for s := bufio.NewScanner(out); s.Scan(); { // until all that the line started have ended
		fmt.Fprintln(&printed, s.Text())
		if goesOn && strings.Contains(s.Text(), ": serving on ") {
			err, goesOn = cmd.Cancel(), false
		}
	}
	if err := errors.Join(err, cmd.Wait()); err != nil || goesOn {
		t.Errorf("%s: %v\n%s", command, err, printed.String())
	}
}

// scratch makes a network namespace and gives its name.
func scratch(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("readme-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "exec", name, "../../bin/bpftables", "flush", "--all").Run()
		_ = exec.Command("ip", "netns", "del", name).Run()
	})
	return name
}

// session is a shell that is fed one command after the other. A command may start
// another shell, which then gets the next ones.
type session struct {
	in  io.Writer
	out *bufio.Reader
}

// ended is printed by the shell after each command.
const ended = "end of command"

func newShell(t *testing.T) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "bash")
	cmd.Dir, cmd.Env = "../..", environment(t)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			t.Logf("the session's shell: %v", err)
		}
		cancel()
		out.Close()
	})
	return &session{in, bufio.NewReader(out)}
}

// replay runs the commands of a block, the lines that start with "$ ", and gives
// the block with what they print now.
func (s *session) replay(t *testing.T, block string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range strings.Split(block, "\n") {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "%s\n", line)
		if _, err := fmt.Fprintf(s.in, "%s\necho %s\n", command, ended); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		for {
			printed, err := s.out.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: the shell ended: %v", command, err)
			}
			if printed == ended+"\n" {
				break
			}
			b.WriteString(printed)
		}
	}
	return b.String()
}
