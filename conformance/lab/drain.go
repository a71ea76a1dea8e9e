package lab

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// packetOutgoing is the type of the frames that leave through the interface.
const packetOutgoing = 4

// drain reads what the observers have seen since the last time.
func (l *Lab) drain(sent *Packet) ([]Event, error) {
	events, err := l.log.drain(l, sent)
	if err != nil {
		return nil, err
	}
	for _, t := range l.taps {
		if events, err = l.drainTap(t, sent, events); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (l *Lab) drainTap(t *tap, sent *Packet, events []Event) ([]Event, error) {
	for {
		n, from, err := unix.Recvfrom(t.fd, l.buf(), unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return events, nil
		}
		if err != nil {
			return nil, fmt.Errorf("lab: reading frames outside: %w", err)
		}
		at, ok := from.(*unix.SockaddrLinklayer)
		if !ok || at.Pkttype == packetOutgoing || n < 14 || n > len(l.buffer) {
			continue
		}
		etype := binary.BigEndian.Uint16(l.buffer[12:])
		if etype != unix.ETH_P_IP && etype != unix.ETH_P_IPV6 {
			continue
		}
		raw := l.buffer[14:n]
		l.noteAnswer(raw)
		l.noteOut(raw, t.outside, at.Ifindex)
		events = append(events, newEvent(l.outsideName(t.outside, at.Ifindex), "", raw, sent))
	}
}

func (l *Lab) outsideName(outside, index int) string {
	where := "server"
	if outside == client {
		where = "client"
	}
	for _, p := range l.ports {
		if p.outside == outside && p.peerIndex == index {
			return where + " " + p.name
		}
	}
	return where
}

// buf is the buffer for one packet, as large as they get.
func (l *Lab) buf() []byte {
	if l.buffer == nil {
		l.buffer = make([]byte, 1<<18)
	}
	return l.buffer
}
