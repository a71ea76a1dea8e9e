package conformance

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// serve starts a server for the commands of the wire, until the end of the test.
func (w *wire) serve() {
	w.t.Helper()
	socket := filepath.Join(w.t.TempDir(), "serve.sock")
	w.t.Setenv(client.SocketEnv, socket)
	cmd := exec.Command(w.path, "serve")
	cmd.Env = append(os.Environ(), client.SocketEnv+"="+socket)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "serving on") {
			return
		}
	}
	w.t.Fatal("the server does not serve")
}

// awaitStatus waits until the status has a text, and not another one.
func (w *wire) awaitStatus(text, not string) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		out := w.bpftables("", "status")
		if strings.Contains(out, text) && (not == "" || !strings.Contains(out, not)) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no %q, or %q, in the status:\n%s", text, not, out)
		}
	}
}

// TestEarlyServed: the resident form makes the early stage follow interfaces, addresses,
// and rules that were changed in place.
func TestEarlyServed(t *testing.T) {
	w := newWire(t)
	w.serve()
	w.bpftables(longDropUDP(), "restore", "-w", "--early", "tcx")
	w.cable("eth1", "198.18.1.1/24")
	w.awaitStatus("eth1            tcx", "have changed")
	w.bpftables("", "iptables", "-w", "-I", "INPUT", "-s", "203.0.113.200/32", "-j", "ACCEPT")
	w.awaitStatus("ipv4: generation 2,", "all packets go up")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1), "[0:0] -A INPUT -s 203.0.113.200/32 -j ACCEPT")
	if n := w.dropped(); n != 1 {
		t.Errorf("%d packets dropped early, not 1", n)
	}
}
