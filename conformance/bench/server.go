package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// serverSocket is where commands find "bpftables serve".
const serverSocket = "/run/bpftables/serve.sock"

// server is a running "bpftables serve".
type server struct {
	cmd  *exec.Cmd
	said bytes.Buffer
	gone chan struct{} // closed when it has ended
}

// served makes the commands use a server that runs meanwhile.
func (f *firewall) served(program string) *firewall {
	f.env = nil
	s, err := startServer(program)
	if err != nil {
		f.absent = reason(err)
		return f
	}
	f.server, f.close = s, s.stop
	return f
}

// startServer starts one and waits until it answers.
func startServer(program string) (*server, error) {
	help, err := exec.Command(program, "--help").Output()
	if err != nil || !strings.Contains(string(help), "\n  serve ") {
		return nil, errors.New("the program has no serve")
	}
	if listens(serverSocket) {
		return nil, errors.New("a server runs already at " + serverSocket)
	}
	s := &server{cmd: exec.Command(program, "serve"), gone: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.gone)
		_ = s.cmd.Wait() // how it ended is of no interest; that it has is
	}()
	for deadline := time.Now().Add(10 * time.Second); !listens(serverSocket); {
		select {
		case <-s.gone:
			return nil, fmt.Errorf("serve ended: %s", bytes.TrimSpace(s.said.Bytes()))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("serve does not answer at %s", serverSocket), s.stop())
		}
	}
	return s, nil
}

func listens(socket string) bool {
	c, err := net.Dial("unix", socket)
	return err == nil && c.Close() == nil
}

// stop ends the server.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.gone
	return nil
}

// peak is the largest resident memory that it had, in KiB.
func (s *server) peak() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0 // it has ended, as the next command will notice
	}
	for _, line := range strings.Split(string(status), "\n") {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			if err == nil {
				return kib
			}
		}
	}
	return 0
}
