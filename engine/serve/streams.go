package serve

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// piece is what a pipe that is ready for output takes at least without making the
// writer wait (PIPE_BUF).
const piece = 4096

// input reads from a file of the client while the client is there. Its end is
// the end of what the client would read: when an input ends because its other end was
// killed together with the client, it gives an error instead.
type input struct {
	call    *call
	fd      int
	name    string
	regular bool // never waits, and ends for no other reason
}

func newInput(c *call, fd int, name string) *input { return &input{c, fd, name, regular(fd)} }

// Read reads what is there, and waits when there is nothing.
func (in *input) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := in.call.ready(in.fd, unix.POLLIN, in.regular); err != nil {
			return 0, err
		}
		n, err := unix.Read(in.fd, p)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: in.name, Err: err}
		case n > 0:
			return n, nil
		case !in.regular && !in.call.present():
			return 0, errGone
		default:
			return 0, io.EOF
		}
	}
}

// output writes to a file of the client while the client is there.
type output struct {
	call    *call
	fd      int
	name    string
	regular bool
}

func newOutput(c *call, fd int, name string) *output { return &output{c, fd, name, regular(fd)} }

// Write writes all of p. Where this process would be killed by SIGPIPE, the client
// will be.
func (out *output) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		part := p[done:]
		if !out.regular && len(part) > piece {
			part = part[:piece]
		}
		if err := out.call.ready(out.fd, unix.POLLOUT, out.regular); err != nil {
			return done, err
		}
		n, err := unix.Write(out.fd, part)
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

func regular(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// ready waits until a file has input or takes output. It fails when the client goes.
func (c *call) ready(fd int, event int16, regular bool) error {
	if regular {
		return nil
	}
	poll := []unix.PollFd{{Fd: int32(c.conn), Events: unix.POLLRDHUP}, {Fd: int32(fd), Events: event}}
	for {
		_, err := unix.Poll(poll, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return &fs.PathError{Op: "poll", Path: "stream", Err: err}
		case poll[0].Revents != 0:
			return errGone
		default:
			return nil
		}
	}
}
