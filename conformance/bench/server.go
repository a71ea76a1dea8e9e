package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// socketVariable tells commands and server where they meet: not where the host's own
// server is.
const socketVariable = "BPFTABLES_SERVE"

// server is a running "bpftables serve".
type server struct {
	cmd    *exec.Cmd
	socket string
	said   bytes.Buffer
	gone   chan struct{} // closed when it has ended
}

// served makes the commands use a server that runs meanwhile.
func (f *firewall) served(program string) *firewall {
	s, err := startServer(program)
	if err != nil {
		f.absent = reason(err)
		return f
	}
	f.env, f.server, f.close = []string{socketVariable + "=" + s.socket}, s, s.stop
	return f
}

// startServer starts one and waits until it answers.
func startServer(program string) (*server, error) {
	help, err := exec.Command(program, "--help").Output()
	if err != nil || !strings.Contains(string(help), "\n  serve ") {
		return nil, errors.New("the program has no serve")
	}
	dir, err := os.MkdirTemp("", "bench-serve")
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(program, "serve"), socket: filepath.Join(dir, "socket"), gone: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), socketVariable+"="+s.socket)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	go func() {
		defer close(s.gone)
		_ = s.cmd.Wait() // how it ended is of no interest; that it has is
	}()
	for deadline := time.Now().Add(10 * time.Second); !s.listens(); {
		select {
		case <-s.gone:
			return nil, errors.Join(fmt.Errorf("serve ended: %s", bytes.TrimSpace(s.said.Bytes())), os.RemoveAll(dir))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("serve does not answer at %s", s.socket), s.stop())
		}
	}
	return s, nil
}

// listens says whether the socket takes connections, of whichever type it is.
func (s *server) listens() bool {
	for _, network := range []string{"unixpacket", "unix"} {
		if c, err := net.Dial(network, s.socket); err == nil {
			return c.Close() == nil
		}
	}
	return false
}

// stop ends the server.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.gone
	return os.RemoveAll(filepath.Dir(s.socket))
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
