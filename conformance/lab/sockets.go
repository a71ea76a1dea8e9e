package lab

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// etherMark is the Ethernet type of the frames that tell that everything sent
// before is through: one of those for local experiments (IEEE 802), which no
// protocol of the kernel takes.
const etherMark = 0x88b5

// patience is how long a packet may take through the lab.
const patience = 20 * time.Second

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// tap is a packet socket that sees all frames that reach a namespace outside.
type tap struct {
	fd      int
	outside int
}

// open makes the sockets of the lab in their namespaces.
func (l *Lab) open() error {
	for _, which := range []int{client, server} {
		err := l.inside(which, func() error {
			for i := range l.ports {
				if p := &l.ports[i]; p.outside == which {
					var err error
					if p.socket, err = packetSocket(0, p.peerIndex); err != nil {
						return err
					}
				}
			}
			fd, err := packetSocket(unix.ETH_P_ALL, 0)
			l.taps = append(l.taps, &tap{fd: fd, outside: which})
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.inside(host, func() (err error) {
		if l.marks, err = packetSocket(etherMark, 0); err != nil {
			return err
		}
		if l.lo, err = packetSocket(0, 1); err != nil {
			return err
		}
		if l.raw4, err = rawSocket(unix.AF_INET); err != nil {
			return err
		}
		l.raw6, err = rawSocket(unix.AF_INET6)
		return err
	})
}

// packetSocket opens a packet socket; index 0 is all interfaces, protocol 0 sends
// only.
func packetSocket(protocol uint16, index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if protocol == 0 { // frames may carry segmentation offload
		err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
	} else {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(protocol), Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

// rawSocket opens a socket that sends whole IP packets.
func rawSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return -1, fmt.Errorf("raw socket: %w", err)
	}
	errBroadcast := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	errBuffer := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20)
	for _, err := range []error{errBroadcast, errBuffer} {
		if err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("raw socket: %w", err)
		}
	}
	return fd, nil
}

// settle waits until everything that was sent before is through. Packets queue up
// per processor in order: when the first mark frame has arrived, all packets
// before it have passed the host, when the second has, what they caused has
// arrived outside as well; the third is for what the server's kernel answers.
func (l *Lab) settle() error {
	for range 3 {
		if err := l.sendMark(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) sendMark() error {
	l.mark++
	p := l.ports[0]
	frame := make([]byte, vnetLen+60)
	copy(frame[vnetLen:], mac(0, 1))
	copy(frame[vnetLen+6:], mac(0, 2))
	binary.BigEndian.PutUint16(frame[vnetLen+12:], etherMark)
	binary.BigEndian.PutUint32(frame[vnetLen+14:], l.mark)
	if _, err := unix.Write(p.socket, frame); err != nil {
		return fmt.Errorf("mark frame: %w", err)
	}
	deadline := time.Now().Add(patience)
	buf := make([]byte, 128)
	for {
		n, err := unix.Read(l.marks, buf)
		switch {
		case err == nil && n >= 18 && binary.BigEndian.Uint32(buf[14:]) == l.mark:
			return nil
		case err == nil:
			continue
		case err != unix.EAGAIN && err != unix.EINTR:
			return fmt.Errorf("mark frame: %w", err)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("mark frame %d did not arrive within %v", l.mark, patience)
		}
		fds := []unix.PollFd{{Fd: int32(l.marks), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			return err
		}
	}
}
