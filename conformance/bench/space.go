package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// The host that receives the frames, and its interface.
const (
	hostAddress = "192.0.2.1"
	hostDevice  = "bench0"
)

// space is a network namespace of the benchmark with one veth pair in it.
type space struct{ name string }

// newSpace makes a namespace whose hostDevice takes frames from everywhere.
func newSpace(name string) (*space, error) {
	s := &space{fmt.Sprintf("bt-bench-%d-%s", os.Getpid(), name)}
	if err := command("ip", "netns", "add", s.name); err != nil {
		return nil, err
	}
	// The NAPI of a veth, which live frames need, runs only with GRO on
	// (drivers/net/veth.c, veth_set_features).
	for _, line := range []string{
		"ip link add " + hostDevice + " type veth peer name peer0",
		"ip address add " + hostAddress + "/24 dev " + hostDevice,
		"ip link set peer0 up",
		"ip link set " + hostDevice + " up",
		"ip link set lo up",
		"ip route add default dev " + hostDevice,
		"ethtool -K " + hostDevice + " gro on",
	} {
		if err := s.command(strings.Fields(line)...); err != nil {
			return nil, fmt.Errorf("%w (and %v)", err, s.remove())
		}
	}
	err := s.do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/conf/all/rp_filter", []byte("0"), 0)
	})
	if err != nil {
		return nil, fmt.Errorf("%w (and %v)", err, s.remove())
	}
	return s, nil
}

// remove deletes the namespace.
func (s *space) remove() error { return command("ip", "netns", "del", s.name) }

// do runs f on a thread of its own inside the namespace. The thread ends with f, so
// whatever else f changes about it (its processor, its priority) ends too; processes
// that f starts are in the namespace.
func (s *space) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/run/netns/" + s.name)
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter namespace %s: %w", s.name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// command runs a program inside the namespace.
func (s *space) command(args ...string) error {
	return s.do(func() error { return command(args...) })
}

// output runs a program inside the namespace and gives what it prints.
func (s *space) output(args ...string) (out []byte, err error) {
	err = s.do(func() (err error) {
		out, err = exec.Command(args[0], args[1:]...).Output()
		return err
	})
	return out, err
}

func command(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
