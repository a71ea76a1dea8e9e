package lab

import (
	"fmt"
	"hash/crc32"
	"sort"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Event is one thing that was seen after a packet was sent.
type Event struct {
	Where string // "input", "forward", "output", "postrouting"; "client eth0", "server eth1"; "sender"
	Info  string // hooks: interfaces, marks, state; sender: the error
	Raw   []byte // the packet, from the IP header on, without what differs from run to run
	Text  string // Raw in the packet language, long ones shortened
}

// String is one line; two runs of the same thing give the same line.
func (e Event) String() string {
	s := e.Where
	if e.Info != "" {
		s += " " + e.Info
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// maxText is the length from which the text of a packet is shortened.
const maxText = 400

// newEvent describes a packet that was seen; sent is what was sent.
func newEvent(where, info string, raw []byte, sent *Packet) Event {
	e := Event{Where: where, Info: info, Raw: normal(raw, sent)}
	f, ok := decode(e.Raw)
	if !ok {
		e.Text = fmt.Sprintf("no IP packet: %x", e.Raw[:min(len(e.Raw), 40)])
		return e
	}
	f.CtState, f.Hook = packet.CtInvalid, packet.Input // no words about them: they are in Info
	e.Text = strings.TrimSuffix(f.String(), " ct invalid")
	if len(e.Text) > maxText {
		e.Text = fmt.Sprintf("%s... (%d bytes, crc %08x)", e.Text[:maxText], len(e.Raw), crc32.ChecksumIEEE(e.Raw))
	}
	return e
}

func decode(raw []byte) (*packet.Facts, bool) {
	if len(raw) == 0 {
		return nil, false
	}
	switch raw[0] >> 4 {
	case 4:
		return packet.Decode(packet.IPv4, raw)
	case 6:
		return packet.Decode(packet.IPv6, raw)
	}
	return nil, false
}

// sortEvents gives events an order that does not depend on the order of reading.
func sortEvents(events []Event) {
	sort.SliceStable(events, func(i, j int) bool { return events[i].String() < events[j].String() })
}
