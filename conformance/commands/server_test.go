package commands

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadline bounds every wait.
const deadline = time.Minute

// serve starts a resident server, which ends with the test.
func serve(t *testing.T, program string) {
	t.Helper()
	cmd := exec.Command(program, "serve")
	cmd.Env = os.Environ()
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "serving on") {
				close(ready)
			}
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		wait(t, ended, "the server does not end")
	})
	wait(t, ready, "the server does not serve")
}

// wait waits for an event.
func wait(t *testing.T, event <-chan bool, otherwise string) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(deadline):
		t.Fatal(otherwise)
	}
}

// alone makes a command work without the server.
var alone = []string{"BPFTABLES_NO_SERVE=1"}

// TestTurns compares random commands of a server and of processes without it, which take
// turns.
func TestTurns(t *testing.T) {
	program := prepare(t)
	serve(t, program)
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			s := newScript(newDuo(t, family, program, nil), *seed+1)
			s.turns = true
			s.run(howMany())
		})
	}
}

// TestGenerationAnew: a server that has a generation open notices when all of it was
// removed and made anew with the same number.
func TestGenerationAnew(t *testing.T) {
	program := prepare(t)
	serve(t, program)
	d := newDuo(t, families[0], program, nil)
	for i, rules := range []string{filler("INPUT"), filler("FORWARD"), filler("INPUT") + filler("OUTPUT")} {
		d.env = nil
		d.single("-I", "INPUT", "-s", "192.0.2.9", "-j", "DROP")
		d.compare()
		d.env = alone
		if i > 0 {
			d.run(&d.ours, "", program, "flush", "--all", "-w")
		}
		d.batch("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" + rules + "COMMIT\n")
		d.env = nil
		d.compare()
		d.single("-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
		d.single("-D", "INPUT", "1")
		d.compare()
		d.env = alone
		d.single("-I", "INPUT", "-s", "192.0.2.2", "-j", "DROP")
		d.env = nil
		d.single("-D", "INPUT", "1")
		d.compare()
	}
}
