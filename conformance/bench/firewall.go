package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// step is a program with what it reads.
type step struct {
	args  []string
	input string
}

// firewall is one variant in a host of its own.
type firewall struct {
	title   string
	absent  string // why it is not there at all
	host    *flood.Host
	env     []string
	load    func(r *rules) []step // nothing: it cannot say such rules
	save    func(f packet.Family) []string
	clear   func(f packet.Family) [][]string
	close   func() error // what else is to end
	command func(f packet.Family) []string
	drop    io.Closer // no rules: the dropping program
	server  *server
}

// remove takes the rules, the host and what else there is away.
func (f *firewall) remove() error {
	err := errors.Join(f.empty(packet.IPv4), f.empty(packet.IPv6))
	if f.close != nil {
		err = errors.Join(err, f.close())
	}
	return errors.Join(err, f.host.Remove())
}

// empty takes the rules away.
func (f *firewall) empty(family packet.Family) error {
	if f.drop != nil {
		err := f.drop.Close()
		f.drop = nil
		return err
	}
	if f.absent != "" || f.clear == nil {
		return nil
	}
	for _, args := range f.clear(family) {
		if _, err := f.do(step{args: args}, time.Minute); err != nil {
			return err
		}
	}
	return nil
}

// errSlow is what a program ends with that takes too long.
var errSlow = errors.New("too slow")

// do runs a program in the host and gives its time from start to end. Its input is a
// file, as in a shell.
func (f *firewall) do(s step, limit time.Duration) (wall time.Duration, err error) {
	var in *os.File
	if s.input != "" {
		if in, err = file(s.input); err != nil {
			return 0, err
		}
		defer in.Close()
	}
	err = f.host.Do(func() (err error) {
		wall, err = f.process(s.args, in, nil, limit)
		return err
	})
	return wall, err
}

// process runs a program from this thread.
func (f *firewall) process(args []string, in *os.File, out io.Writer, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), f.env...)
	// A group, as time(1) has a child that would go on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if in != nil {
		cmd.Stdin = in
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &said
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	switch {
	case ctx.Err() != nil:
		return wall, fmt.Errorf("%w: more than %v", errSlow, limit)
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return wall, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, line)
	}
	return wall, nil
}

// file is a file without a name that holds the text.
func file(text string) (*os.File, error) {
	f, err := os.CreateTemp("", "bench-input")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// apply loads rules. Where that is not possible, the note says why.
func (f *firewall) apply(r *rules, limit time.Duration) (wall time.Duration, note string) {
	if f.absent != "" {
		return 0, f.absent
	}
	steps := f.load(r)
	if len(steps) == 0 {
		return 0, "cannot express such rules"
	}
	for _, s := range steps {
		took, err := f.do(s, limit)
		if err != nil {
			return 0, reason(err)
		}
		wall += took
	}
	return wall, ""
}

// reason is one line of an error, short enough for the page.
func reason(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, "exit status "); ok {
		if _, said, ok := strings.Cut(after, ": "); ok && said != "" {
			text = said
		}
	}
	text = strings.TrimPrefix(text, "bpftables: ")
	if len(text) > 140 {
		text = text[:137] + "..."
	}
	return "not available: " + text
}

// peak loads rules and gives time and the largest resident memory that a process had
// meanwhile. It is measured by a process in between: the kernel counts for a child
// also what its parent had when it started it (fs/exec.c, exec_mmap), and time(1)
// has little.
func (f *firewall) peak(r *rules, limit time.Duration) (c cell) {
	if f.absent != "" {
		return cell{Note: f.absent}
	}
	steps := f.load(r)
	if len(steps) == 0 {
		return cell{Note: "cannot express such rules"}
	}
	for _, s := range steps {
		wall, kib, err := f.timed(s, limit)
		if err != nil {
			return cell{Note: reason(err)}
		}
		c.Time += wall
		c.KiB = max(c.KiB, kib)
	}
	if f.server != nil {
		c.KiB += f.server.peak()
	}
	return c
}

// timed runs a program under time(1).
func (f *firewall) timed(s step, limit time.Duration) (wall time.Duration, kib int64, err error) {
	report, err := os.CreateTemp("", "bench-peak")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(report.Name())
	defer report.Close()
	s.args = append([]string{"time", "-q", "-f", "%M", "-o", report.Name()}, s.args...)
	if wall, err = f.do(s, limit); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Fscan(report, &kib)
	return wall, kib, err
}
