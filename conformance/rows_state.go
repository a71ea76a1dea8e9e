package conformance

import (
	"fmt"
	"net/netip"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// brought are the reasons for which a row says that its packet cannot be sent, but
// that this judge can bring about: it opens connections, spoils checksums and
// loads rules of other tables.
var brought = map[string]bool{
	"needs a connection that has seen a reply": true,
	"needs a packet that tracking refuses":     true,
	"needs -j CT --notrack":                    true,
	"needs a connection with a mark":           true,
}

// bring takes the connection of a packet into the state that its row says; why is
// not empty when it cannot.
func (j *RowJudge) bring(l *lab.Lab, r *rows.Row, p *lab.Packet) (why string, err error) {
	f := p.Facts
	if r.Table == "raw" || r.Table == "mangle" || f.Proto != 17 {
		return "the judge brings only UDP connections, to tables behind tracking", nil
	}
	if err := l.Forget(); err != nil {
		return "", err
	}
	chain := "PREROUTING"
	if p.Kind == lab.Raw {
		chain = "OUTPUT"
	}
	raw, mangle := "*raw\nCOMMIT\n", "*mangle\nCOMMIT\n"
	switch {
	case f.CtState&packet.CtUntracked != 0:
		raw = fmt.Sprintf("*raw\n-A %s -j CT --notrack\nCOMMIT\n", chain)
	case f.CtState&packet.CtInvalid != 0 && p.Kind == lab.Frame:
		f.Raw[f.THOff+6] ^= 0x55 // tracking asks for a right checksum
	case f.CtState&packet.CtInvalid != 0:
		return "tracking asks packets of the host for nothing", nil
	case f.CtState&(packet.CtSNAT|packet.CtDNAT|packet.CtRelated) != 0:
		return "the judge brings neither translated nor expected connections", nil
	case f.Conn != nil && f.Conn.Mark != 0:
		mangle = fmt.Sprintf("*mangle\n-A %s -j CONNMARK --set-mark %#x\nCOMMIT\n", chain, f.Conn.Mark)
	}
	if err := (lab.Legacy{}).Apply(l.Host(), r.Family, []byte(raw+mangle)); err != nil {
		return "", err
	}
	if f.CtState&packet.CtEstablished == 0 {
		return "", nil
	}
	return "", open(l, r, p)
}

// open makes the connection of a packet one that has seen a reply.
func open(l *lab.Lab, r *rows.Row, p *lab.Packet) error {
	f := p.Facts
	back, err := opposite(l, r, p)
	if err != nil {
		return err
	}
	steps := []*lab.Packet{p, back}
	if f.Conn != nil && f.Conn.Reply {
		steps = steps[1:]
	}
	for _, one := range steps {
		if _, err := l.Send(one); err != nil {
			return err
		}
	}
	return nil
}

// opposite is a packet in the other direction, which arrives where this one leaves.
func opposite(l *lab.Lab, r *rows.Row, p *lab.Packet) (*lab.Packet, error) {
	f := p.Facts
	ports, _ := f.L4Bytes(0, 4)
	src := netip.AddrPortFrom(f.Dst(), uint16(ports[2])<<8|uint16(ports[3]))
	dst := netip.AddrPortFrom(f.Src(), uint16(ports[0])<<8|uint16(ports[1]))
	in := f.Out.Name
	if in == "" {
		in = "eth1"
	}
	back := fmt.Sprintf("udp %s > %s in %s", src, dst, in)
	via := f.In.Name
	switch {
	case r.Chain == "INPUT":
		back = fmt.Sprintf("@raw udp %s > %s out %s", src, dst, f.In.Name)
	case p.Kind == lab.Raw:
		via = "" // the host's own
	}
	if err := l.Route(lab.Route{Prefix: netip.PrefixFrom(f.Src(), f.Src().BitLen()), Via: via}); err != nil {
		return nil, err
	}
	return lab.Parse(r.Family, back)
}
