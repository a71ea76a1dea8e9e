// Package nfnl is a connection to nfnetlink, over which nf_tables is asked and changed.
//
// In: messages of netlink. Out: the answers of the kernel. Refused: what the kernel refuses, by
// its error number. The kernel has answered before a request returns, so nothing waits here in
// the way that the sockets of a netlink library do: a command that asks one question would pay
// more for a poller and its threads than for the question.
//
//	c, err := nfnl.Dial()
//	answers, err := c.Execute(netlink.Message{...})
package nfnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Conn is a connection in the network namespace of the thread that has made it. It is for one
// goroutine at a time.
type Conn struct {
	fd       int
	sequence uint32
	room     []byte // for what is received
}

// largest is how much the kernel gives at once (netlink_recvmsg(), net/netlink/af_netlink.c).
const largest = 32 << 10

// Dial connects.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("nfnetlink: %w", os.NewSyscallError("socket", err))
	}
	return &Conn{fd: fd}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return os.NewSyscallError("close", unix.Close(c.fd)) }

// Grow makes room for a transaction of a size, and for what the kernel refuses of it, which
// comes back.
func (c *Conn) Grow(size int) error {
	for _, option := range [][2]int{{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}, {unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}} {
		err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, option[0], size)
		if err != nil {
			err = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, option[1], size)
		}
		if err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// Execute puts one question and gives all answers to it; an acknowledgement is none.
func (c *Conn) Execute(m netlink.Message) ([]netlink.Message, error) {
	if err := c.Send(m); err != nil {
		return nil, err
	}
	var out []netlink.Message
	for {
		some, err := c.Receive()
		if err != nil {
			return nil, err
		}
		for _, a := range some {
			switch {
			case a.Header.Type == netlink.Done || a.Header.Type == netlink.Error:
				return out, nil
			case m.Header.Flags&(netlink.Dump|netlink.Acknowledge) == 0:
				return append(out, a), nil
			}
			out = append(out, a)
		}
	}
}

// Send sends messages as one: to nfnetlink that is a transaction, if the first one begins it.
func (c *Conn) Send(messages ...netlink.Message) error {
	var all []byte
	c.sequence++
	for _, m := range messages {
		all = binary.NativeEndian.AppendUint32(all, uint32(unix.NLMSG_HDRLEN+len(m.Data)))
		all = binary.NativeEndian.AppendUint16(all, uint16(m.Header.Type))
		all = binary.NativeEndian.AppendUint16(all, uint16(m.Header.Flags))
		all = binary.NativeEndian.AppendUint32(all, c.sequence)
		all = binary.NativeEndian.AppendUint32(all, 0) // whose it is, the kernel knows
		all = append(all, m.Data...)
		for len(all)%unix.NLMSG_ALIGNTO != 0 {
			all = append(all, 0)
		}
	}
	for {
		err := unix.Sendto(c.fd, all, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return os.NewSyscallError("sendto", err)
		}
	}
}

// Receive gives the next answers to what was sent last. An acknowledgement is a message of the
// type Error; what the kernel refuses is an error, which wraps its number.
func (c *Conn) Receive() ([]netlink.Message, error) {
	if c.room == nil {
		c.room = make([]byte, largest)
	}
	for {
		n, _, flags, from, err := unix.Recvmsg(c.fd, c.room, nil, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("recvmsg", err)
		case flags&unix.MSG_TRUNC != 0:
			return nil, errors.New("nfnetlink: an answer is too long")
		}
		if kernel, is := from.(*unix.SockaddrNetlink); !is || kernel.Pid != 0 {
			continue // any process may send to the socket
		}
		out, err := c.parse(append([]byte(nil), c.room[:n]...))
		if err != nil || len(out) > 0 {
			return out, err
		}
	}
}

// parse takes what was received apart.
func (c *Conn) parse(data []byte) (out []netlink.Message, err error) {
	for len(data) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(data))
		if size < unix.NLMSG_HDRLEN || size > len(data) {
			return nil, errors.New("nfnetlink: an answer is cut off")
		}
		m := netlink.Message{
			Header: netlink.Header{
				Length: uint32(size), Type: netlink.HeaderType(binary.NativeEndian.Uint16(data[4:])),
				Flags: netlink.HeaderFlags(binary.NativeEndian.Uint16(data[6:])), Sequence: binary.NativeEndian.Uint32(data[8:]),
			},
			Data: data[unix.NLMSG_HDRLEN:size:size],
		}
		data = data[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(data)):]
		if m.Header.Sequence != c.sequence {
			continue // an answer to a question that has failed
		}
		if err := refused(&m); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// refused is the error that a message carries: in one of the type Error, and at the end of a list
// that could not be made (netlink_dump_done(), net/netlink/af_netlink.c).
func refused(m *netlink.Message) error {
	if m.Header.Type != netlink.Error && m.Header.Type != netlink.Done || len(m.Data) < 4 {
		return nil
	}
	if number := int32(binary.NativeEndian.Uint32(m.Data)); number < 0 {
		return unix.Errno(-number)
	}
	return nil
}
