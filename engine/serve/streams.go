package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// piece is what a pipe that is ready for output takes at least without making the
// writer wait (PIPE_BUF).
const piece = 4096

// input reads from a file of the client while the client is there. Its end is
// the end of what the client would read: when an input ends because its other end was
// killed together with the client, it gives an error instead.
type input struct {
	call *call
	fd   int
	name string
	kind uint32
}

func newInput(c *call, fd int, name string) *input { return &input{c, fd, name, kind(fd)} }

// Read reads what is there, and waits when there is nothing.
func (in *input) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := in.call.ready(in.fd, unix.POLLIN, in.kind); err != nil {
			return 0, err
		}
		n, err := in.read(p)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: in.name, Err: err}
		case n > 0:
			return n, nil
		case in.kind != unix.S_IFREG && !in.call.present():
			return 0, errGone
		default:
			return 0, io.EOF
		}
	}
}

// read reads without waiting, as far as the kind of file can do that: who else reads from it
// may have taken what there was.
func (in *input) read(p []byte) (int, error) {
	if in.kind != unix.S_IFSOCK {
		return unix.Read(in.fd, p)
	}
	n, _, err := unix.Recvfrom(in.fd, p, unix.MSG_DONTWAIT)
	return n, err
}

// output writes to a file of the client while the client is there.
type output struct {
	call *call
	fd   int
	name string
	kind uint32
}

func newOutput(c *call, fd int, name string) *output { return &output{c, fd, name, kind(fd)} }

// Write writes all of p. Where this process would be killed by SIGPIPE, the client
// will be.
func (out *output) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		part := p[done:]
		if out.kind != unix.S_IFREG && len(part) > piece {
			part = part[:piece]
		}
		if err := out.call.ready(out.fd, unix.POLLOUT, out.kind); err != nil {
			return done, err
		}
		n, err := out.write(part)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			if errors.Is(err, unix.EPIPE) {
				out.call.signal = unix.SIGPIPE
			}
			return done, &fs.PathError{Op: "write", Path: out.name, Err: err}
		default:
			done += n
		}
	}
	return done, nil
}

// write writes without waiting, as far as the kind of file can do that.
func (out *output) write(p []byte) (int, error) {
	if out.kind != unix.S_IFSOCK {
		return unix.Write(out.fd, p)
	}
	return unix.SendmsgN(out.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// kind is what kind of file a descriptor leads to; 0: nothing.
func kind(fd int) uint32 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Mode & unix.S_IFMT
}

// ready waits until a file has input or takes output; a regular file always does. It fails
// when the client goes.
func (c *call) ready(fd int, event int16, kind uint32) error {
	if kind == unix.S_IFREG {
		return nil
	}
	return c.await(unix.PollFd{Fd: int32(fd), Events: event}, -1)
}

// majorTTYAux is the major number of /dev/tty and /dev/console: opened again, they are those of
// the server.
const majorTTYAux = 5

// unblock opens the client's pipes and terminals again, so that no read or write on them ever
// waits: one that waits in the kernel does not hear that the client was killed, and the lock
// would stay taken. The descriptors that came share their flags with other processes. Sockets
// cannot be opened again, and do not need it.
func (c *call) unblock() {
	for i := client.Stdin; i <= client.Stderr; i++ {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(uintptr(c.files[i]), unix.F_GETFL, 0)
		if err != nil || unix.Fstat(c.files[i], &st) != nil {
			continue
		}
		_, notTTY := unix.IoctlGetTermios(c.files[i], unix.TCGETS)
		if st.Mode&unix.S_IFMT != unix.S_IFIFO && (notTTY != nil || unix.Major(st.Rdev) == majorTTYAux) {
			continue
		}
		path := fmt.Sprintf("/proc/self/fd/%d", c.files[i])
		fd, err := unix.Open(path, flags&unix.O_ACCMODE|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // a pipe that nobody reads: writing says so
		}
		c.closeFile(i)
		c.files[i] = fd
	}
}
