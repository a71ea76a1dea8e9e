package serve

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/thread"
	"github.com/bpftables/bpftables/engine/serve/client"
)

// requestTime bounds how long a client may take to say what it wants.
const requestTime = 5 * time.Second

// exitPanic is the exit code of a Go program that panics.
const exitPanic = 2

// maxActive is how many commands run at a time; each has a thread, of which a Go program may
// have 10,000. Further clients work alone.
const maxActive = 256

// scarce are errors of accept(2) that pass; scarceWait is after how many milliseconds it
// is tried again.
var scarce = []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS}

const scarceWait = 100

// worker waits for one client and runs its command, on a thread that ends with it: it is
// in the client's namespaces then.
func (s *Server) worker() {
	defer s.running.Done()
	conn, err := s.accept()
	if err != nil {
		select {
		case s.failed <- err:
		default:
		}
		return
	}
	if conn < 0 {
		return
	}
	s.running.Add(1)
	thread.Go(s.worker)
	defer s.active.Add(-1)
	defer unix.Close(conn)
	logged(s.o.Log, func() { s.handle(conn) })
}

// accept waits for a connection; -1 when the server is to end.
func (s *Server) accept() (int, error) {
	poll := []unix.PollFd{{Fd: int32(s.listener.fd), Events: unix.POLLIN}, {Fd: int32(s.stop), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return -1, fmt.Errorf("wait for commands: %w", err)
		}
		if poll[1].Revents != 0 {
			return -1, nil
		}
		conn, _, err := unix.Accept4(s.listener.fd, unix.SOCK_CLOEXEC)
		switch {
		case err == nil && s.active.Add(1) > maxActive:
			s.active.Add(-1)
			decline(conn, errors.New("the server has too much to do"))
			unix.Close(conn)
		case err == nil:
			return conn, nil
		case err == unix.EINTR || err == unix.EAGAIN || err == unix.ECONNABORTED:
		case slices.Contains(scarce, err):
			// Commands that end give some back.
			if n, _ := unix.Poll(poll[1:], scarceWait); n > 0 {
				return -1, nil
			}
		default:
			return -1, fmt.Errorf("wait for commands: %w", err)
		}
	}
}

// handle runs the command of a connection.
func (s *Server) handle(conn int) {
	c, err := s.take(conn)
	if err != nil {
		decline(conn, err)
		return
	}
	defer c.close()
	code := s.run(c)
	_ = c.send([]byte{client.Exit, byte(code), byte(c.signal)})
	s.keeper.ran()
}

// decline tells a client why it has to work alone. One that does not hear it finds the
// connection closed, and does the same.
func decline(conn int, why error) {
	_ = (&call{conn: conn}).send(append([]byte{client.Decline}, why.Error()...))
}

// take receives a request and moves the thread to where it came from.
func (s *Server) take(conn int) (*call, error) {
	if err := answerTime(conn, requestTime); err != nil {
		return nil, err
	}
	// The request is read in any case: a client that is still sending would not see why
	// it is refused.
	c, err := receive(conn)
	if err != nil {
		return nil, err
	}
	if c.peer, err = admit(conn); err == nil {
		c.unblock()
		err = c.enter()
	}
	if err == nil {
		err = answerTime(conn, 0) // later answers may take as long as a user takes
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// answerTime bounds the wait for packets; 0: no bound.
func answerTime(conn int, limit time.Duration) error {
	t := unix.NsecToTimeval(limit.Nanoseconds())
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t))
}

// run runs the command. A panic ends the command, as it would end its process.
func (s *Server) run(c *call) (code int) {
	c.names.env = c.env
	caller := c.caller()
	// A file that is mapped may be cut, or find no memory: that is a panic, too.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if why := recover(); why != nil {
			fmt.Fprintf(caller.Err, "panic: %v\n\n%s", why, debug.Stack())
			code = exitPanic
		}
	}()
	return s.o.Run(caller, c.args)
}

// enter moves the thread into the client's network namespace, mount namespace and
// working directory.
func (c *call) enter() error {
	if c.getenv("TZ") != os.Getenv("TZ") {
		return errors.New("the server is in another time zone")
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(c.files[client.NetNS], unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	if !c.isFile(client.MntNS, "/proc/thread-self/ns/mnt") {
		if err := unix.Setns(c.files[client.MntNS], unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter the mount namespace: %w", err)
		}
	}
	if !c.isRoot() {
		return errors.New("the caller has another root directory")
	}
	if err := unix.Fchdir(c.files[client.CWD]); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	// An open namespace counts as one that is in use.
	for _, i := range []int{client.NetNS, client.MntNS, client.CWD} {
		c.closeFile(i)
	}
	return nil
}

// isFile compares one of the client's files with what a path leads to.
func (c *call) isFile(i int, path string) bool { return isFile(c.files[i], path) }

// isRoot says whether the thread has the client's root directory: tools and locks are looked
// for there.
func (c *call) isRoot() bool { return isFile(c.peer.root, "/") }

func isFile(fd int, path string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Stat(path, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}
