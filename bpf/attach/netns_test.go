package attach_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

var serial atomic.Uint32

// inNamespace runs the rest of the test in a network namespace of its own with lo up.
func inNamespace(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	runtime.LockOSThread()
	name := fmt.Sprintf("bt-attach-%d-%d", os.Getpid(), serial.Add(1))
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "netns", "add", name)
	inside, err := netns.GetFromName(name)
	if err == nil {
		err = netns.Set(inside)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Fatal(err)
		}
		inside.Close()
		before.Close()
		run(t, "ip", "netns", "del", name)
		runtime.UnlockOSThread()
	})
	run(t, "ip", "link", "set", "lo", "up")
	return name
}

func run(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// receiver is a UDP socket of the test's namespace.
func receiver(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends a datagram with a text; the error is that of the system call.
func send(t *testing.T, address, text string) error {
	t.Helper()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

// expect reads the next datagram and compares. What must not arrive is sent before
// something that must.
func expect(t *testing.T, c *net.UDPConn, text string) {
	t.Helper()
	buf := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("waiting for %q: %v", text, err)
	}
	if got := string(buf[:n]); got != text {
		t.Fatalf("received %q, want %q", got, text)
	}
}
