package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// deadline bounds every wait of these tests.
const deadline = time.Minute

// server is a "bpftables serve" that a test has started.
type server struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed when it serves
	mu     sync.Mutex
	log    strings.Builder
	ended  chan struct{} // closed when it has ended
	killed bool          // by the test
	result error
}

// startServer starts a server and waits until it serves.
func startServer(self, socket string) (*server, error) {
	cmd := exec.Command(self, "serve")
	cmd.Env = append(os.Environ(), client.SocketEnv+"="+socket)
	return serving(cmd)
}

// serving starts a command that is a server and waits until it serves.
func serving(cmd *exec.Cmd) (*server, error) {
	s := &server{cmd: cmd, ready: make(chan struct{}), ended: make(chan struct{})}
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go s.follow(out)
	select {
	case <-s.ready:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("the server ended: %v: %s", s.result, s.text())
	case <-time.After(deadline):
		return nil, errors.Join(errors.New("the server does not serve"), s.end(unix.SIGKILL))
	}
}

// follow reads what the server says until it ends.
func (s *server) follow(out io.Reader) {
	started := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		s.mu.Lock()
		s.log.WriteString(lines.Text() + "\n")
		s.mu.Unlock()
		if !started && strings.Contains(lines.Text(), "serving on") {
			started = true
			close(s.ready)
		}
	}
	s.result = s.cmd.Wait()
	close(s.ended)
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end sends a signal and waits for the end.
func (s *server) end(sig unix.Signal) error {
	s.killed = s.killed || sig == unix.SIGKILL
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
		return s.result
	case <-time.After(deadline):
		return errors.New("it does not end")
	}
}
