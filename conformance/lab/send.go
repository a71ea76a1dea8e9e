package lab

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// vnetLen is the length of struct virtio_net_hdr, which stands before every frame
// that the lab sends.
const vnetLen = 10

// Send sends a packet, waits until it is through and gives what was seen, sorted.
// An error means that the lab itself failed; what a sender saw is an Event.
func (l *Lab) Send(p *Packet) ([]Event, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unpin, err := pin(int(p.Facts.CPU))
	if err != nil {
		return nil, err
	}
	defer unpin()
	if p.Reply {
		ok := false
		if p, ok = l.replied(p); !ok {
			l.out = nil
			return []Event{{Where: "sender", Info: "nothing to reply to"}}, nil
		}
	}
	l.out = nil
	var events []Event
	switch p.Kind {
	case Frame:
		err = l.sendFrame(p)
	case Raw:
		err = l.sendRaw(p)
	default:
		return l.sendSocket(p)
	}
	if e, is := senderError(err); is {
		events = append(events, e)
	} else if err != nil {
		return nil, err
	}
	return l.collect(events, p)
}

// collect waits until all is quiet and reads what the observers have seen.
func (l *Lab) collect(events []Event, p *Packet) ([]Event, error) {
	if err := l.settle(); err != nil {
		return nil, err
	}
	seen, err := l.drain(p)
	events = append(events, seen...)
	sortEvents(events)
	return events, err
}

// pin keeps the calling thread on one processor; see settle. One that the host
// does not have stands for the first.
func pin(want int) (func(), error) {
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return nil, fmt.Errorf("affinity: %w", err)
	}
	cpu := want
	if cpu >= 1024 || !old.IsSet(cpu) {
		for cpu = 0; !old.IsSet(cpu); cpu++ {
		}
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("affinity: %w", err)
	}
	return func() { unix.SchedSetaffinity(0, &old) }, nil
}

// senderError turns an errno into what the sender saw.
func senderError(err error) (Event, bool) {
	no, ok := err.(unix.Errno)
	if !ok {
		return Event{}, false
	}
	return Event{Where: "sender", Info: unix.ErrnoName(no)}, true
}

// sendFrame puts the packet on the wire at the other end of its in interface.
func (l *Lab) sendFrame(p *Packet) error {
	raw := p.Facts.Raw
	if p.Answer {
		raw = l.acknowledge(raw)
	}
	fd, m := l.lo, net.HardwareAddr{0, 0, 0, 0, 0, 0}
	src := m
	if name := p.Facts.In.Name; name != "lo" {
		i := l.portByName(name)
		if i < 0 {
			return fmt.Errorf("lab: the host has no interface %q to send %s to", name, p.Facts)
		}
		fd, m, src = l.ports[i].socket, frameTo(p.Facts, mac(i, 1)), mac(i, 2)
		if len(p.Facts.Link) == 14 {
			src = p.Facts.Link[6:12]
		}
	}
	etype := uint16(unix.ETH_P_IP)
	if p.Facts.Family == packet.IPv6 {
		etype = unix.ETH_P_IPV6
	}
	frame := make([]byte, vnetLen, vnetLen+14+len(raw))
	frame = append(append(frame, m...), src...)
	frame = binary.BigEndian.AppendUint16(frame, etype)
	frame = append(frame, raw...)
	if p.GSO > 0 {
		offload(frame, p)
	}
	_, err := unix.Write(fd, frame)
	return err
}

func (l *Lab) portByName(name string) int {
	for i, p := range l.ports {
		if p.name == name {
			return i
		}
	}
	return -1
}

// frameTo is the Ethernet destination: the host, or what the packet type or a
// multicast address asks for.
func frameTo(f *packet.Facts, own net.HardwareAddr) net.HardwareAddr {
	broadcast := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	dst := f.Dst()
	switch {
	case f.PktType == 3:
		return net.HardwareAddr{2, 0, 0, 0, 0xfe, 0xfe}
	case f.PktType == 1, dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return broadcast
	case f.PktType != 2 && !dst.IsMulticast():
		return own
	}
	b := dst.AsSlice()
	if dst.Is6() {
		return append(net.HardwareAddr{0x33, 0x33}, b[12:]...)
	}
	return net.HardwareAddr{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
}

// offload asks for segmentation in the frame's virtio header: the transport
// checksum then holds the sum of the pseudo header only.
func offload(frame []byte, p *Packet) {
	f := p.Facts
	const needsChecksum, tcp4, tcp6, udp = 1, 1, 4, 5
	kind, sumAt := byte(tcp4), 16
	switch {
	case f.Proto == unix.IPPROTO_UDP:
		kind, sumAt = udp, 6
	case f.Family == packet.IPv6:
		kind = tcp6
	}
	l4 := frame[vnetLen+14+int(f.THOff):]
	headLen := 8
	if f.Proto == unix.IPPROTO_TCP {
		headLen = int(l4[12]>>4) * 4
	}
	frame[0], frame[1] = needsChecksum, kind
	binary.NativeEndian.PutUint16(frame[2:], uint16(14+int(f.THOff)+headLen))
	binary.NativeEndian.PutUint16(frame[4:], uint16(p.GSO))
	binary.NativeEndian.PutUint16(frame[6:], 14+f.THOff)
	binary.NativeEndian.PutUint16(frame[8:], uint16(sumAt))
	binary.BigEndian.PutUint16(l4[sumAt:], packet.PseudoSum(f.Src(), f.Dst(), f.Proto, len(l4)))
}

// sendRaw sends the whole packet by a raw socket of the host: the shared one, or
// one of its own when the packet has an owner or a mark.
func (l *Lab) sendRaw(p *Packet) error {
	f := p.Facts
	fd := l.raw4
	if f.Family == packet.IPv6 {
		fd = l.raw6
	}
	if f.Sock != nil || f.Mark != 0 {
		err := l.as(p, func() (err error) {
			fd, err = l.openRaw(f)
			return err
		})
		if err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	return unix.Sendto(fd, f.Raw, 0, sockaddr(f.Dst(), 0))
}

func sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}
