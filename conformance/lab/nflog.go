package lab

import (
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// logGroup is the NFLOG group of the observer.
const logGroup = 0xb7ab

// observer is an nftables table behind everything that judges: at each hook it
// reports the packets that came so far.
const observer = `table inet btlab {
	chain input { type filter hook input priority 290; log group 47019; }
	chain forward { type filter hook forward priority 290; log group 47019; }
	chain output { type filter hook output priority 290; log group 47019; }
	chain postrouting { type filter hook postrouting priority 290; log group 47019; }
}
`

// logReader receives what the observer reports (net/netfilter/nfnetlink_log.c).
type logReader struct{ fd int }

// Numbers of include/uapi/linux/netfilter/nfnetlink_log.h.
const (
	msgConfig    = 4<<8 | 1
	cfgCommand   = 1
	cfgMode      = 2
	cfgBuffer    = 3
	cfgThreshold = 5
	logHeader    = 1
	logMark      = 2
	logIn        = 4
	logOut       = 5
	logPayload   = 9
	logCt        = 18
	logCtInfo    = 19
	ctStatus     = 3 // CTA_STATUS
	ctMark       = 8 // CTA_MARK
)

// observe loads the observer and starts to listen to it.
func (l *Lab) observe() error {
	cmd := exec.Command("ip", "netns", "exec", l.Host(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(observer)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return l.inside(host, func() (err error) {
		l.log, err = openLog()
		return err
	})
}

func openLog() (*logReader, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	r := &logReader{fd: fd}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20); err != nil {
		return r, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return r, err
	}
	configs := [][]byte{
		attr(cfgCommand, []byte{1}), // bind the group
		attr(cfgMode, append(binary.BigEndian.AppendUint32(nil, 0xffff), 2, 0)),
		attr(cfgBuffer, binary.BigEndian.AppendUint32(nil, 1<<17)),
		attr(cfgThreshold, binary.BigEndian.AppendUint32(nil, 1)),
	}
	for _, c := range configs {
		if err := r.configure(c); err != nil {
			return r, fmt.Errorf("nfnetlink_log: %w", err)
		}
	}
	return r, nil
}

func (r *logReader) close() { unix.Close(r.fd) }

func attr(kind uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// configure sends one setting and waits for its acknowledgment.
func (r *logReader) configure(attrs []byte) error {
	b := make([]byte, 20, 20+len(attrs))
	b = append(b, attrs...)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], msgConfig)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.BigEndian.PutUint16(b[18:], logGroup)
	if err := unix.Sendto(r.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(r.fd, buf, 0) // netlink acknowledges before sendto returns
	if err != nil {
		return err
	}
	if n >= 20 && binary.NativeEndian.Uint16(buf[4:]) == unix.NLMSG_ERROR {
		if code := int32(binary.NativeEndian.Uint32(buf[16:])); code != 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}

// drain reads the reports that are there.
func (r *logReader) drain(l *Lab, sent *Packet) ([]Event, error) {
	var events []Event
	for {
		n, _, err := unix.Recvfrom(r.fd, l.buf(), 0)
		switch {
		case err == unix.EAGAIN:
			return events, nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("lab: reading the observer: %w", err)
		}
		for b := l.buffer[:n]; len(b) >= 20; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < 20 || size > len(b) {
				break
			}
			if binary.NativeEndian.Uint16(b[4:]) == 4<<8 {
				events = append(events, l.report(b[20:size], sent))
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

var hookNames = [...]string{"prerouting", "input", "forward", "output", "postrouting"}

// report reads one message of the observer.
func (l *Lab) report(b []byte, sent *Packet) Event {
	where, info := "hook", ""
	var raw []byte
	mark, ctinfo := uint32(0), "none"
	var ct []byte
	eachAttr(b, func(kind uint16, data []byte) {
		switch kind {
		case logHeader:
			where = hookNames[data[2]%5]
		case logMark:
			mark = binary.BigEndian.Uint32(data)
		case logIn:
			info += " in " + l.ifaceName(data)
		case logOut:
			info += " out " + l.ifaceName(data)
		case logPayload:
			raw = data
		case logCt:
			ct = data
		case logCtInfo:
			ctinfo = fmt.Sprint(binary.BigEndian.Uint32(data))
		}
	})
	info += fmt.Sprintf(" mark %#x ct %s", mark, ctinfo)
	eachAttr(ct, func(kind uint16, data []byte) {
		switch kind {
		case ctStatus:
			info += fmt.Sprintf(" status %#x", binary.BigEndian.Uint32(data))
		case ctMark:
			info += fmt.Sprintf(" ctmark %#x", binary.BigEndian.Uint32(data))
		}
	})
	return newEvent(where, strings.TrimSpace(info), raw, sent)
}

func eachAttr(b []byte, f func(kind uint16, data []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}

func (l *Lab) ifaceName(data []byte) string {
	index := int(binary.BigEndian.Uint32(data))
	if index == 1 {
		return "lo"
	}
	for _, p := range l.ports {
		if p.index == index {
			return p.name
		}
	}
	return fmt.Sprint(index)
}
