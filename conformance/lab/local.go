package lab

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netns"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// as runs a function in the host, with the file system user and group that the
// packet's socket shall have: xt_owner asks for those of the opened file.
func (l *Lab) as(p *Packet, f func() error) error {
	here, err := netns.Get()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer here.Close()
	if err := netns.Set(l.ns[host]); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer netns.Set(here)
	if s := p.Facts.Sock; s != nil && s.HasFile {
		unix.RawSyscall(unix.SYS_SETFSGID, uintptr(s.GID), 0, 0)
		unix.RawSyscall(unix.SYS_SETFSUID, uintptr(s.UID), 0, 0)
		defer unix.RawSyscall(unix.SYS_SETFSGID, 0, 0, 0)
		defer unix.RawSyscall(unix.SYS_SETFSUID, 0, 0, 0)
	}
	return f()
}

func domain(f packet.Family) int {
	if f == packet.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func (l *Lab) openRaw(f *packet.Facts) (int, error) {
	fd, err := rawSocket(domain(f.Family))
	if err != nil {
		return -1, err
	}
	return fd, setMark(fd, f.Mark)
}

func setMark(fd int, mark uint32) error {
	if mark == 0 {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		return fmt.Errorf("lab: SO_MARK: %w", err)
	}
	return nil
}

// sendSocket sends by an ordinary socket: a datagram, or the start of a
// connection. The sender's errors are those of the call and, after all is through,
// the one pending on the socket.
func (l *Lab) sendSocket(p *Packet) ([]Event, error) {
	var events []Event
	fd := -1
	err := l.as(p, func() (err error) {
		fd, err = l.openSocket(p)
		return err
	})
	if e, is := senderError(err); is { // such as an address in use
		return []Event{e}, nil
	}
	if err != nil {
		return nil, err
	}
	err = l.start(fd, p)
	if e, is := senderError(err); is {
		events = append(events, e)
	} else if err != nil {
		unix.Close(fd)
		return nil, err
	}
	events, err = l.collect(events, p)
	if no, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); no != 0 {
		e, _ := senderError(unix.Errno(no))
		e.Info = "later " + e.Info
		events = append(events, e)
	}
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
	if err != nil {
		return nil, err
	}
	return l.collect(events, p)
}

func (l *Lab) openSocket(p *Packet) (int, error) {
	f := p.Facts
	kind := unix.SOCK_DGRAM
	if p.Kind == TCP {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(domain(f.Family), kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	src, _, sport, _ := endpoints(f)
	errs := []error{
		setMark(fd, f.Mark),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		setHeader(fd, f),
		unix.Bind(fd, sockaddr(src, sport)),
	}
	for _, err := range errs {
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// setHeader takes over what of the IP header a socket can set.
func setHeader(fd int, f *packet.Facts) error {
	if f.Family == packet.IPv6 {
		tclass := int(f.Raw[0]&15)<<4 | int(f.Raw[1]>>4)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tclass); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, int(f.Raw[7]))
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(f.Raw[1])); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, max(1, int(f.Raw[8])))
}

func (l *Lab) start(fd int, p *Packet) error {
	_, dst, _, dport := endpoints(p.Facts)
	err := unix.Connect(fd, sockaddr(dst, dport))
	if p.Kind == TCP {
		if err == unix.EINPROGRESS {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	if p.GSO > 0 {
		const udpSegment = 103
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpSegment, p.GSO); err != nil {
			return fmt.Errorf("lab: UDP_SEGMENT: %w", err)
		}
	}
	_, err = unix.Write(fd, payload(p.Facts))
	return err
}
