package packet

import (
	"fmt"
	"slices"
	"strings"
)

// Bits of struct nf_conn's status (enum ip_conntrack_status,
// include/uapi/linux/netfilter/nf_conntrack_common.h).
const (
	ipsSeenReply = 1 << 1
	ipsAssured   = 1 << 2
	ipsConfirmed = 1 << 3
	ipsSNAT      = 1 << 4
	ipsDNAT      = 1 << 5
)

var stateBits = map[string]uint32{
	"invalid": CtInvalid, "established": CtEstablished, "related": CtRelated, "new": CtNew, "untracked": CtUntracked,
}

func isStateWord(name string) bool {
	state, _, _ := strings.Cut(name, ",")
	return stateBits[state] != 0
}

// ct reads "established,reply,dnat": one state, then what else is known of the
// connection.
func (p *parser) ct(name string) error {
	a, err := p.arg(name, "one of new established related invalid untracked")
	if err != nil {
		return err
	}
	p.ctSet = true
	for _, one := range strings.Split(strings.ToLower(a), ",") {
		bit, isState := stateBits[one]
		switch {
		case isState && p.f.CtState&(CtInvalid|CtEstablished|CtRelated|CtNew|CtUntracked) != 0:
			return fmt.Errorf("%s: %q has two states; a packet has one", name, a)
		case isState:
			p.f.CtState |= bit
		case one == "snat":
			p.conn().Status |= ipsSNAT
		case one == "dnat":
			p.conn().Status |= ipsDNAT
		case one == "reply":
			p.conn().Reply = true
		default:
			return fmt.Errorf("%s: %q is not one of new established related invalid untracked, nor snat, dnat or reply", name, one)
		}
	}
	if p.f.CtState == 0 {
		return fmt.Errorf("%s: %q has no state; give one of new established related invalid untracked", name, a)
	}
	if p.f.CtState&(CtInvalid|CtUntracked) != 0 && p.f.Conn != nil {
		return fmt.Errorf("%s: an %s packet has no connection; leave snat, dnat and reply out", name, a)
	}
	return nil
}

// tuple reads "ADDRESS:PORT > ADDRESS:PORT".
func (p *parser) tuple(name string, into *Tuple) error {
	if len(p.words) < 3 || p.words[1] != ">" {
		return fmt.Errorf("%s: not a direction of a connection; give ADDRESS:PORT > ADDRESS:PORT", name)
	}
	var err error
	if into.Src, into.SrcPort, err = p.endpoint(p.words[0], 0); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if into.Dst, into.DstPort, err = p.endpoint(p.words[2], 0); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.words = p.words[3:]
	return nil
}

// defaults fills what the text left open and depends on other words.
func (p *parser) defaults() {
	f := p.f
	if !p.hookSet {
		f.Hook = defaultHook(f)
	}
	if f.CtState == 0 {
		f.CtState = CtNew
	}
	if p.s != nil && p.s.Proto == protoTCP && !p.flagSet {
		p.s.Flags = FlagACK
		if f.CtState&CtNew != 0 {
			p.s.Flags = FlagSYN
		}
	}
	if p.s != nil && p.s.Ext != nil {
		p.s.Ext = slices.Clip(p.s.Ext)
	}
}

func defaultHook(f *Facts) Hook {
	switch {
	case f.In.Name != "" && f.Out.Name != "":
		return Forward
	case f.Out.Name != "":
		return Output
	}
	return Input
}

// finish completes the connection of a decoded packet: a tracked packet has one,
// and its tuples are those of the packet unless the text gave others.
func finish(f *Facts) {
	if f.CtState&(CtInvalid|CtUntracked) != 0 {
		f.Conn = nil
		return
	}
	if f.Conn == nil {
		f.Conn = &Conn{}
	}
	c, t := f.Conn, f.Tuple()
	if c.Reply {
		t = t.reversed()
	}
	if c.Proto == 0 {
		c.Proto = f.Proto
	}
	if !c.Orig.Src.IsValid() {
		c.Orig = t
	}
	if !c.Repl.Src.IsValid() {
		c.Repl = t.reversed()
	}
	if f.CtState&CtEstablished != 0 {
		c.Status |= ipsSeenReply | ipsAssured | ipsConfirmed
	}
	if c.Status&ipsSNAT != 0 {
		f.CtState |= CtSNAT
	}
	if c.Status&ipsDNAT != 0 {
		f.CtState |= CtDNAT
	}
}

func (t Tuple) reversed() Tuple {
	return Tuple{Src: t.Dst, Dst: t.Src, SrcPort: t.DstPort, DstPort: t.SrcPort}
}

// Tuple is the addresses of the packet, and its ports if it has some.
func (f *Facts) Tuple() Tuple {
	t := Tuple{Src: f.Src(), Dst: f.Dst()}
	if b, ok := f.L4Bytes(0, 4); ok && f.HasPorts() {
		t.SrcPort, t.DstPort = be16(b), be16(b[2:])
	}
	return t
}
