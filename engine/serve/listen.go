package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrRunning says that there is a server already.
var ErrRunning = errors.New("a server is running already")

// backlog is how many clients may wait to be accepted.
const backlog = 128

// activationFD is the first descriptor that systemd passes (sd_listen_fds(3)).
const activationFD = 3

// Listener is the socket of a server, with the lock that only one server of a socket
// has.
type Listener struct {
	fd   int
	lock *os.File
	path string // "" for a socket that systemd made: it stays
	ino  uint64
}

// Listen gives the socket that systemd passed, or else makes one at a path. What a
// killed server left there is replaced; ErrRunning is wrapped when a server lives.
func Listen(path string) (*Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	l := &Listener{fd: -1, lock: lock}
	passed, err := activated()
	switch {
	case err != nil:
	case passed:
		l.fd = activationFD
		unix.CloseOnExec(l.fd)
		err = unix.SetNonblock(l.fd, true)
	default:
		err = l.bind(path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// lockFile takes a lock for as long as the process lives.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%s: %w", path, ErrRunning)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// activated says whether systemd has passed a socket, and that it is of our kind.
func activated() (bool, error) {
	pid, fds := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	os.Unsetenv("LISTEN_PID")
	os.Unsetenv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) || fds == "" || fds == "0" {
		return false, nil
	}
	if fds != "1" {
		return false, fmt.Errorf("LISTEN_FDS: %s sockets were passed; pass one", fds)
	}
	domain, err := unix.GetsockoptInt(activationFD, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return false, fmt.Errorf("LISTEN_FDS: descriptor %d: %w", activationFD, err)
	}
	kind, err := unix.GetsockoptInt(activationFD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || domain != unix.AF_UNIX || kind != unix.SOCK_SEQPACKET {
		return false, fmt.Errorf("LISTEN_FDS: descriptor %d: not a Unix socket for packets; use ListenSequentialPacket=", activationFD)
	}
	return true, nil
}

// bind makes the socket beside its place and moves it there, so that nobody meets one
// that does not listen yet or that others may use.
func (l *Listener) bind(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	l.fd = fd
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fresh}); err != nil {
		return fmt.Errorf("socket %s: %w", fresh, err)
	}
	if err := os.Chmod(fresh, 0o600); err != nil {
		return err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return fmt.Errorf("socket %s: %w", fresh, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(fresh, &st); err != nil {
		return fmt.Errorf("socket %s: %w", fresh, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	l.path, l.ino = path, st.Ino
	return nil
}

// hide removes the socket, if it is this server's.
func (l *Listener) hide() error {
	var st unix.Stat_t
	if l.path == "" || unix.Stat(l.path, &st) != nil || st.Ino != l.ino {
		return nil
	}
	return os.Remove(l.path)
}

// Close ends the listening and removes the socket, if it is this server's.
func (l *Listener) Close() error {
	errs := []error{l.hide()}
	if l.fd >= 0 {
		errs = append(errs, unix.Close(l.fd))
		l.fd = -1
	}
	return errors.Join(append(errs, l.lock.Close())...)
}
