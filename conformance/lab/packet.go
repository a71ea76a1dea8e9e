package lab

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Kind is how a packet is sent.
type Kind uint8

// The kinds of packets.
const (
	Frame Kind = iota // as a frame, from the other end of its in interface
	Raw               // by a raw socket of the host
	UDP               // by a UDP socket of the host
	TCP               // by a TCP socket of the host: a connection attempt
)

var kindNames = [...]string{"@frame", "@raw", "@udp", "@tcp"}

// Packet is what the lab sends. Its text is the packet language with words before
// it that say how: "@udp", "@gso=1400", "@answer".
type Packet struct {
	Facts  *packet.Facts
	Kind   Kind
	GSO    int  // the packet is many, of so many bytes each, for the network card to split
	Answer bool // TCP: acknowledges the last SYN,ACK that came back
	Reply  bool // answers what came out of the host with the packet before: addresses, ports and interface are its
}

// Parse reads a packet. One with an out interface alone is sent by the host.
func Parse(family packet.Family, text string) (*Packet, error) {
	p := &Packet{}
	kindSet := false
	for strings.HasPrefix(text, "@") {
		word, rest, _ := strings.Cut(text, " ")
		text = strings.TrimSpace(rest)
		if err := p.directive(word, &kindSet); err != nil {
			return nil, err
		}
	}
	f, err := packet.Parse(family, text)
	if err != nil {
		return nil, err
	}
	p.Facts = f
	if !kindSet && f.Hook == packet.Output {
		p.Kind = Raw
	}
	if p.GSO > 0 && (f.Proto != 6 && f.Proto != 17 || p.Kind == TCP || p.Kind == Raw) {
		return nil, fmt.Errorf("@gso: only frames of TCP and UDP, and @udp, can be split; leave it out")
	}
	return p, nil
}

func (p *Packet) directive(word string, kindSet *bool) error {
	for k, name := range kindNames {
		if word == name {
			p.Kind, *kindSet = Kind(k), true
			return nil
		}
	}
	if size, ok := strings.CutPrefix(word, "@gso="); ok {
		n, err := strconv.ParseUint(size, 10, 15)
		if err != nil || n == 0 {
			return fmt.Errorf("@gso: %q is not a segment size; give 1 to 32767", size)
		}
		p.GSO = int(n)
		return nil
	}
	if word == "@answer" {
		p.Answer = true
		return nil
	}
	if word == "@reply" {
		p.Reply = true
		return nil
	}
	return fmt.Errorf("%s: not known; give @frame, @raw, @udp, @tcp, @gso=SIZE, @answer or @reply", word)
}

// String is the packet as Parse reads it.
func (p *Packet) String() string {
	var words []string
	if (p.Facts.Hook == packet.Output) != (p.Kind == Raw) || p.Kind > Raw {
		words = append(words, kindNames[p.Kind])
	}
	if p.GSO > 0 {
		words = append(words, fmt.Sprintf("@gso=%d", p.GSO))
	}
	if p.Answer {
		words = append(words, "@answer")
	}
	if p.Reply {
		words = append(words, "@reply")
	}
	text := strings.TrimSuffix(p.Facts.String(), " ct new") // tracking is up to the kernel
	return strings.Join(append(words, text), " ")
}
