package attach_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestMain lets the test binary stand for another process: BPFTABLES_TEST_STEP says
// what it does.
func TestMain(m *testing.M) {
	if step := os.Getenv("BPFTABLES_TEST_STEP"); step != "" {
		if err := other(step); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// other is what another process does in the namespace that it was started in.
func other(step string) error {
	s, err := attach.Open(packet.IPv4)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Claim(); err != nil {
		return err
	}
	defer s.Release()
	switch step {
	case "apply":
		return applyTo(s, dropPort(packet.IPv4, "filter", packet.Input, 9))
	case "counters":
		g, err := s.Current()
		if err != nil {
			return err
		}
		defer g.Close()
		c, err := g.Counters()
		if err != nil {
			return err
		}
		fmt.Printf("%d:%d", c[0].Packets, c[0].Bytes)
		return nil
	case "remove":
		return s.RemoveAll()
	}
	return attach.Reap(nil)
}

// inOther runs a step in a namespace by "ip netns exec", with its own mounts.
func inOther(t *testing.T, netns, step string) string {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", netns, os.Args[0])
	cmd.Env = append(os.Environ(), "BPFTABLES_TEST_STEP="+step)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", step, err, out)
	}
	return string(out)
}

func TestOtherProcess(t *testing.T) {
	name := inNamespace(t)
	blocked, free := receiver(t, "127.0.0.1:9"), receiver(t, "127.0.0.1:10")
	inOther(t, name, "apply")
	send(t, "127.0.0.1:9", "lost")
	send(t, "127.0.0.1:10", "through")
	expect(t, free, "through")
	if got := inOther(t, name, "counters"); got != "1:32" {
		t.Errorf("counters %q", got)
	}
	s, err := attach.Open(packet.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if g, err := s.Current(); err != nil || g == nil || g.Number() != 1 {
		t.Errorf("live generation %v (%v)", g, err)
	}
	inOther(t, name, "remove")
	send(t, "127.0.0.1:9", "through")
	expect(t, blocked, "through")
	if _, err := os.Stat(s.Pins()); !os.IsNotExist(err) {
		t.Errorf("%s is left (%v)", s.Pins(), err)
	}
}

func TestReap(t *testing.T) {
	alive, gone := inNamespace(t), fmt.Sprintf("bt-attach-gone-%d", os.Getpid())
	run(t, "ip", "netns", "add", gone)
	inOther(t, alive, "apply")
	inOther(t, gone, "apply")
	pinsAlive, pinsGone := pinsOf(t, alive), pinsOf(t, gone)
	run(t, "ip", "netns", "del", gone)
	if err := attach.Reap(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pinsGone); !os.IsNotExist(err) {
		t.Errorf("%s of the dead namespace is left (%v)", pinsGone, err)
	}
	if _, err := os.Stat(pinsAlive); err != nil {
		t.Error(err)
	}
	inOther(t, alive, "remove")
}

// pinsOf is where the pins of a named namespace are.
func pinsOf(t *testing.T, name string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/run/netns/"+name, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s/bpf/%d", attach.Root, st.Ino)
}
