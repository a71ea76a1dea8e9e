package flood

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/bpftables/bpftables/bpf/thread"
)

// Space is a network namespace.
type Space struct{ Name string }

// newSpace makes one.
func newSpace(name string) (*Space, error) {
	s := &Space{name}
	return s, run("ip", "netns", "add", name)
}

// Remove deletes the namespace.
func (s *Space) Remove() error { return run("ip", "netns", "del", s.Name) }

// Do runs f on a thread of its own inside the namespace. The thread ends with f, so
// whatever else f changes about it (its processor, its priority) ends too; processes
// that f starts are in the namespace.
func (s *Space) Do(f func() error) error {
	ns, err := os.Open("/run/netns/" + s.Name)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := thread.Within(ns, f); err != nil {
		return fmt.Errorf("namespace %s: %w", s.Name, err)
	}
	return nil
}

// Command runs a program inside the namespace.
func (s *Space) Command(args ...string) error {
	return s.Do(func() error { return run(args...) })
}

// Output runs a program inside the namespace and gives what it prints.
func (s *Space) Output(args ...string) (out []byte, err error) {
	err = s.Do(func() (err error) {
		var said bytes.Buffer
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stderr = &said
		if out, err = cmd.Output(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
		}
		return nil
	})
	return out, err
}

func run(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
