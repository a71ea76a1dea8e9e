package commands

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestBeside lets readers and two writers work at the same time: every text that is read
// is that of one moment, and no change is lost.
func TestBeside(t *testing.T) {
	program := prepare(t)
	for _, server := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "with a server"}[server], func(t *testing.T) {
			if server {
				serve(t, program)
			}
			besides(newDuo(t, families[0], program, nil))
		})
	}
}

func besides(d *duo) {
	changes := 40
	if *long {
		changes = 1000
	}
	d.batch("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n" + filler("INPUT") + filler("FORWARD") + "COMMIT\n")
	var writers, readers sync.WaitGroup
	done := make(chan bool)
	for i, env := range [][]string{nil, alone} {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-done:
					return
				default:
					d.read(env)
				}
			}
		}()
		writers.Add(1)
		go func() {
			defer writers.Done()
			for n := range changes {
				// Both rules, or none of them.
				text := fmt.Sprintf("-I INPUT 3 -s 192.0.2.%d -j DROP\n-A FORWARD -s 192.0.2.%d -j DROP\n", n, n)
				if n > 20 {
					text += fmt.Sprintf("-D INPUT -s 192.0.2.%d -j DROP\n-D FORWARD -s 192.0.2.%d -j DROP\n", n-20, n-20)
				}
				text = strings.ReplaceAll(text, "192.0.2.", fmt.Sprintf("192.0.%d.", 2+i))
				if out, err := d.try(env, "*filter\n"+text+"COMMIT\n", slices.Concat(d.ours.load, []string{"-n"})...); err != nil {
					d.Errorf("%s: %v: %s", text, err, out)
				}
			}
		}()
	}
	writers.Wait()
	close(done)
	readers.Wait()
	saved := d.saved(&d.ours)
	if n := strings.Count(saved, "-s 192.0."); n != 2*2*21 {
		d.Errorf("%d rules are left, want %d\n%s", n, 2*2*21, saved)
	}
}

// read reads the rules: as many are in one chain as in the other.
func (d *duo) read(env []string) {
	out, err := d.try(env, "", d.ours.save...)
	in, forward := strings.Count(out, "-A INPUT -s 192.0."), strings.Count(out, "-A FORWARD -s 192.0.")
	if err != nil || in != forward || strings.Count(out, "COMMIT") != 1 {
		d.Errorf("%v: %d rules in INPUT, %d in FORWARD\n%s", err, in, forward, out)
	}
	if out, err := d.try(env, "", slices.Concat(d.ours.rule, []string{"-L", "-n"})...); err != nil || !strings.Contains(out, "Chain FORWARD") {
		d.Errorf("list: %v: %s", err, out)
	}
}

// try is run for any goroutine.
func (d *duo) try(env []string, stdin string, args ...string) (string, error) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", d.ours.lab.Host()}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
