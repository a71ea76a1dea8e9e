package commands

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// points are the fail points of package engine/apply that changes in place meet.
var points = []string{"journal", "published"}

// TestKilled kills random commands at the fail points of changes in place, and with -long
// at any time: what is left is as before, or as after them, and the next commands go on.
func TestKilled(t *testing.T) {
	prepare(t)
	program := build(t, t.TempDir(), "-tags", "failpoints")
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			s := newScript(newDuo(t, family, program, nil), *seed+2)
			s.kill(howMany())
		})
	}
}

func (s *script) kill(n int) {
	s.batch(s.begin())
	old, killed := 0, 0
	for done := 0; done < n; done++ {
		s.send(s.packets(1, s.r.Int63()))
		line := s.line()
		if strings.HasPrefix(line, "-Z") {
			continue // the fail points do not tell whether it was done
		}
		text := "*" + s.table + "\n" + line + "\nCOMMIT\n"
		if s.r.Intn(3) == 0 {
			text = "*" + s.table + "\n-I INPUT 2 -s 192.0.2.1 -j DROP\n" + line + "\nCOMMIT\n"
			if s.family == packet.IPv6 {
				text = strings.Replace(text, "192.0.2.1", "2001:db8::1", 1)
			}
		}
		before := s.saved(&s.ref)
		if s.cut(text) {
			killed++
		}
		s.said = append(s.said, "killed: "+text)
		got := s.saved(&s.ours)
		if got == before {
			old++
			continue
		}
		s.duo.run(&s.ref, text, slices.Concat(s.ref.load, []string{"-n"})...)
		if want := s.saved(&s.ref); got != want {
			s.Fatalf("neither\n%s\nnor\n%s\nafter\n%s", difference(got, before), difference(got, want), s.history())
		}
	}
	s.compare()
	s.command()
	s.compare()
	s.Logf("%d commands were killed; %d changed nothing", killed, old)
}

// cut runs a batch that is killed; false: it has ended before.
func (s *script) cut(text string) (killed bool) {
	s.Helper()
	ctx, env := context.Background(), "BPFTABLES_FAILPOINT="+points[s.r.Intn(len(points))]
	if *long && s.r.Intn(3) > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(s.r.Intn(20000))*time.Microsecond)
		defer cancel()
		ctx, env = limited, "BPFTABLES_FAILPOINT="
	}
	args := append([]string{"netns", "exec", s.ours.lab.Host()}, s.ours.load...)
	cmd := exec.CommandContext(ctx, "ip", append(args, "-n")...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stdin = strings.NewReader(text)
	_, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.Fatal(err)
	}
	return err != nil
}
