package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// endpoints are the addresses and ports of a TCP or UDP packet.
func endpoints(f *packet.Facts) (src, dst netip.Addr, sport, dport uint16) {
	if b, ok := f.L4Bytes(0, 4); ok {
		sport, dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	return f.Src(), f.Dst(), sport, dport
}

// payload is what a UDP packet carries.
func payload(f *packet.Facts) []byte {
	if n := int(f.THOff) + 8; n <= len(f.Raw) {
		return f.Raw[n:]
	}
	return nil
}

// flow is one direction of a TCP connection.
type flow struct{ src, dst netip.AddrPort }

func flowOf(f *packet.Facts) flow {
	src, dst, sport, dport := endpoints(f)
	return flow{netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)}
}

// noteAnswer remembers the sequence number of a SYN,ACK that was seen outside.
func (l *Lab) noteAnswer(raw []byte) {
	f, ok := decode(raw)
	if !ok || f.Proto != unix.IPPROTO_TCP {
		return
	}
	b, ok := f.L4Bytes(0, 20)
	if !ok || b[13]&(packet.FlagSYN|packet.FlagACK) != packet.FlagSYN|packet.FlagACK {
		return
	}
	if l.answers == nil {
		l.answers = map[flow]uint32{}
	}
	l.answers[flowOf(f)] = binary.BigEndian.Uint32(b[4:])
}

// acknowledge gives the packet with the acknowledgment number that fits the last
// SYN,ACK of its connection.
func (l *Lab) acknowledge(raw []byte) []byte {
	f, ok := decode(raw)
	if !ok || f.Proto != unix.IPPROTO_TCP {
		return raw
	}
	there := flowOf(f)
	seq, ok := l.answers[flow{src: there.dst, dst: there.src}]
	if !ok {
		return raw
	}
	out := append([]byte(nil), raw...)
	l4 := out[f.THOff:]
	binary.BigEndian.PutUint32(l4[8:], seq+1)
	clear(l4[16:18])
	sum := packet.Checksum(l4, packet.PseudoSum(f.Src(), f.Dst(), f.Proto, len(l4)))
	binary.BigEndian.PutUint16(l4[16:], sum)
	return out
}

// Listen opens TCP and UDP sockets in the host on all its addresses; they take
// what comes and answer what the protocol says.
func (l *Lab) Listen(ports ...uint16) error {
	return l.inside(host, func() error {
		for _, port := range ports {
			for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
				if err := l.listen(kind, port); err != nil {
					return fmt.Errorf("lab: listen on port %d: %w", port, err)
				}
			}
		}
		return nil
	})
}

func (l *Lab) listen(kind int, port uint16) error {
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	l.listeners = append(l.listeners, fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet6{Port: int(port)}); err != nil {
		return err
	}
	if kind == unix.SOCK_STREAM {
		return unix.Listen(fd, 64)
	}
	return nil
}
