package serve

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/serve/client"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// errGone ends a command whose client is gone.
var errGone = errors.New("the client is gone")

// call is one command that a client wants.
type call struct {
	conn   int
	files  [client.Files]int // of the client; -1: closed
	peer   peer
	args   []string
	env    []string
	names  names
	signal unix.Signal // by which the client must end; 0: by its exit code
}

// receive reads a request.
func receive(conn int) (*call, error) {
	var size, n, nrights, flags int
	err := uninterrupted(func() (err error) {
		size, _, err = unix.Recvfrom(conn, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	packet, rights := make([]byte, size), make([]byte, unix.CmsgSpace(4*client.Files))
	err = uninterrupted(func() (err error) {
		n, nrights, flags, _, err = unix.Recvmsg(conn, packet, rights, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	c := &call{conn: conn, peer: noPeer}
	fds := descriptors(rights[:nrights])
	for i := range c.files {
		c.files[i] = -1
		if i < len(fds) {
			c.files[i] = fds[i]
		}
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(fds) != client.Files {
		c.close()
		return nil, errors.New("request: incomplete")
	}
	if err := c.parse(packet[:n]); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// uninterrupted repeats a call that a signal ends: Go's runtime sends some to its threads,
// and a wait that has a time limit is not restarted by the kernel (signal(7)).
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// parse reads the strings of a request.
func (c *call) parse(packet []byte) error {
	rest, ok := bytes.CutPrefix(packet, []byte(client.Magic))
	if !ok || len(rest) < 4 {
		return errors.New("request: of another version")
	}
	nargs := int(binary.LittleEndian.Uint32(rest))
	var all []string
	for _, text := range bytes.SplitAfter(rest[4:], []byte{0}) {
		if len(text) > 0 {
			all = append(all, string(bytes.TrimSuffix(text, []byte{0})))
		}
	}
	if nargs > len(all) {
		return errors.New("request: arguments are missing")
	}
	c.args, c.env = all[:nargs], all[nargs:]
	return nil
}

// descriptors are the file descriptors that came with a packet.
func descriptors(rights []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for i := range messages {
		if some, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, some...)
		}
	}
	return fds
}

// close closes what came with the request, and what the command needed.
func (c *call) close() {
	c.names.close()
	c.peer.close()
	for i := range c.files {
		c.closeFile(i)
	}
}

func (c *call) closeFile(i int) {
	if c.files[i] >= 0 {
		unix.Close(c.files[i])
		c.files[i] = -1
	}
}

// caller is the client as the command sees it.
func (c *call) caller() *caller.Caller {
	return caller.New(caller.Caller{
		In:       newInput(c, c.files[client.Stdin], "/dev/stdin"),
		Out:      newOutput(c, c.files[client.Stdout], "/dev/stdout"),
		Err:      newOutput(c, c.files[client.Stderr], "/dev/stderr"),
		Open:     c.open,
		Create:   c.create,
		Env:      c.env,
		Resolver: func() *iptables.System { return iptables.NewResolverAsking(&c.names) },
		Gone:     c.gone,
	})
}

func (c *call) getenv(name string) string { return caller.Getenv(c.env, name) }

// gone says whether the client is gone.
func (c *call) gone() bool { return errors.Is(c.await(unix.PollFd{Fd: -1}, 0), errGone) }

// await waits until something happens to a file, for at most some milliseconds (-1: without
// end). It fails when the client goes: when its process ends, or its end of the connection is
// closed. One does not follow from the other at once: a connection stays as long as anybody
// holds it, the server itself when a client passes it as a stream.
func (c *call) await(file unix.PollFd, limit int) error {
	poll := []unix.PollFd{{Fd: int32(c.conn), Events: unix.POLLRDHUP}, {Fd: int32(c.peer.process), Events: unix.POLLIN}, file}
	for {
		n, err := unix.Poll(poll, limit)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n > 0 && poll[1].Revents != 0, n > 0 && poll[0].Revents&^unix.POLLIN != 0:
			return errGone
		default:
			return nil
		}
	}
}

// present asks the client whether it is still there: one that a signal has hit does not
// answer, although its end may not have got here yet.
func (c *call) present() bool {
	answer, fds, err := c.ask([]byte{client.Present})
	closeAll(fds)
	return err == nil && answer[0] == client.Present
}

// open lets the client open a file to read.
func (c *call) open(path string) (io.ReadCloser, error) {
	fd, err := c.file(client.Open, path)
	if err != nil {
		return nil, err
	}
	return &file{newInput(c, fd, path)}, nil
}

// create lets the client make a file, or empty it.
func (c *call) create(path string) (io.WriteCloser, error) {
	fd, err := c.file(client.Create, path)
	if err != nil {
		return nil, err
	}
	return &created{newOutput(c, fd, path)}, nil
}

// file lets the client open a file in one of the ways of the protocol.
func (c *call) file(way byte, path string) (int, error) {
	if len(path) >= unix.PathMax {
		return -1, &fs.PathError{Op: "open", Path: path, Err: unix.ENAMETOOLONG}
	}
	answer, fds, err := c.ask(append([]byte{way}, path...))
	if err != nil {
		return -1, err
	}
	if answer[0] == client.Opened && len(fds) == 1 {
		// The client has closed it: nobody else is surprised by this.
		if err := unix.SetNonblock(fds[0], true); err != nil {
			closeAll(fds)
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return fds[0], nil
	}
	closeAll(fds)
	errno := unix.EIO
	if answer[0] == client.Refused && len(answer) == 3 {
		errno = unix.Errno(binary.LittleEndian.Uint16(answer[1:]))
	}
	return -1, &fs.PathError{Op: "open", Path: path, Err: errno}
}

// ask sends a packet and gives the answer.
func (c *call) ask(packet []byte) (answer []byte, fds []int, err error) {
	if err := c.send(packet); err != nil {
		return nil, nil, errGone
	}
	answer, rights := make([]byte, 16), make([]byte, unix.CmsgSpace(4*client.Files))
	for {
		if err := c.await(unix.PollFd{Fd: int32(c.conn), Events: unix.POLLIN}, -1); err != nil {
			return nil, nil, err
		}
		n, nrights, _, _, err := unix.Recvmsg(c.conn, answer, rights, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n == 0 {
			return nil, nil, errGone
		}
		return answer[:n], descriptors(rights[:nrights]), nil
	}
}

// send sends a packet. A client takes one at a time: there is room.
func (c *call) send(packet []byte) error {
	return uninterrupted(func() error {
		return unix.Sendmsg(c.conn, packet, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	})
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// file is an input that the command closes.
type file struct{ *input }

// Close closes the file.
func (f *file) Close() error { return os.NewSyscallError("close", unix.Close(f.fd)) }

// created is an output that the command closes.
type created struct{ *output }

// Close closes the file.
func (f *created) Close() error { return os.NewSyscallError("close", unix.Close(f.fd)) }
