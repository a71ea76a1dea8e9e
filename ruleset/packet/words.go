package packet

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// word is one word of the packet language after the addresses.
type word struct {
	name  string
	max   uint64                             // a number up to max, given to num
	num   func(p *parser, n uint64)          //
	read  func(p *parser, name string) error // reads its arguments itself
	bytes bool                               // it changes the bytes: not for raw packets
	proto []uint8                            // protocols that have it; nil: all
}

var (
	onlyTCP  = []uint8{protoTCP}
	withOpts = []uint8{protoTCP, protoDCCP}
	withType = []uint8{protoICMP, protoICMPv6, protoDCCP}
	withICMP = []uint8{protoICMP, protoICMPv6}
	withSPI  = []uint8{protoESP, protoAH}
	withSeq  = []uint8{protoTCP, protoDCCP, protoESP, protoAH}
)

// words are all of them, in the order in which Text prints them.
func words() []word {
	const m8, m16, m32 = 0xff, 0xffff, 0xffffffff
	return []word{
		{name: "in", read: func(p *parser, n string) error { return p.iface(n, &p.f.In.Name) }},
		{name: "out", read: func(p *parser, n string) error { return p.iface(n, &p.f.Out.Name) }},
		{name: "hook", read: (*parser).hook},
		{name: "flags", read: (*parser).flags, bytes: true, proto: onlyTCP},
		{name: "seq", max: m32, num: func(p *parser, n uint64) { p.s.Seq = uint32(n) }, bytes: true, proto: withSeq},
		{name: "ack", max: m32, num: func(p *parser, n uint64) { p.s.Ack = uint32(n) }, bytes: true, proto: onlyTCP},
		{name: "win", max: m16, num: func(p *parser, n uint64) { p.s.Win = uint16(n) }, bytes: true, proto: onlyTCP},
		{name: "doff", max: 255, num: func(p *parser, n uint64) { p.s.Doff = uint8(n) }, bytes: true, proto: withOpts},
		{name: "opts", read: func(p *parser, n string) (err error) { p.s.Opts, err = p.hex(n); return }, bytes: true, proto: withOpts},
		{name: "type", read: (*parser).icmpType, bytes: true, proto: withType},
		{name: "rest", max: m32, num: func(p *parser, n uint64) { p.s.Rest = uint32(n) }, bytes: true, proto: withICMP},
		{name: "spi", max: m32, num: func(p *parser, n uint64) { p.s.SPI = uint32(n) }, bytes: true, proto: withSPI},
		{name: "chunks", read: (*parser).chunks, bytes: true, proto: []uint8{protoSCTP}},
		{name: "ttl", max: m8, num: func(p *parser, n uint64) { p.s.TTL = uint8(n) }, bytes: true},
		{name: "hl", max: m8, num: func(p *parser, n uint64) { p.s.TTL = uint8(n) }, bytes: true},
		{name: "tos", max: m8, num: func(p *parser, n uint64) { p.s.TOS = uint8(n) }, bytes: true},
		{name: "id", max: m16, num: func(p *parser, n uint64) { p.s.ID = uint16(n) }, bytes: true},
		{name: "df", read: func(p *parser, _ string) error { p.s.DF = true; return p.only(IPv4, "df") }, bytes: true},
		{name: "frag", read: (*parser).frag, bytes: true},
		{name: "ipopts", read: (*parser).ipopts, bytes: true},
		{name: "ext", read: (*parser).ext, bytes: true},
		{name: "payload", read: func(p *parser, n string) (err error) { p.s.Payload, err = p.hex(n); return }, bytes: true},
		{name: "len", max: m16, num: func(p *parser, n uint64) { p.s.Len = int(n) }, bytes: true},
		{name: "cut", max: m16, num: func(p *parser, n uint64) { p.s.Cut = int(n) }, bytes: true},
		{name: "badsum", read: func(p *parser, _ string) error { p.s.BadSum = true; return nil }, bytes: true},
		{name: "mark", read: (*parser).mark},
		{name: "ct", read: (*parser).ct},
		{name: "ctmark", max: m32, num: func(p *parser, n uint64) { p.conn().Mark = uint32(n) }},
		{name: "ctstatus", max: m32, num: func(p *parser, n uint64) { p.conn().Status |= uint32(n) }},
		{name: "ctexpire", max: m32, num: func(p *parser, n uint64) { p.conn().ExpiresSecs = uint32(n) }},
		{name: "ctpackets", read: func(p *parser, n string) error {
			return p.carried(n, func(c *Carried, v uint64) { c.Packets = v })
		}},
		{name: "ctbytes", read: func(p *parser, n string) error { return p.carried(n, func(c *Carried, v uint64) { c.Bytes = v }) }},
		{name: "ctlabels", read: (*parser).labels},
		{name: "ctproto", max: m8, num: func(p *parser, n uint64) { p.conn().Proto = uint8(n) }},
		{name: "ctorig", read: func(p *parser, n string) error { return p.tuple(n, &p.conn().Orig) }},
		{name: "ctrepl", read: func(p *parser, n string) error { return p.tuple(n, &p.conn().Repl) }},
		{name: "mac", read: (*parser).mac},
		{name: "pkttype", read: (*parser).pktType},
		{name: "uid", max: m32, num: func(p *parser, n uint64) { p.sock().HasFile, p.sock().UID = true, uint32(n) }},
		{name: "gid", max: m32, num: func(p *parser, n uint64) { p.sock().HasFile, p.sock().GID = true, uint32(n) }},
		{name: "nofile", read: func(p *parser, _ string) error { p.sock(); return nil }},
		{name: "cpu", max: m32, num: func(p *parser, n uint64) { p.f.CPU = uint32(n) }},
		{name: "realm", max: m32, num: func(p *parser, n uint64) { p.f.Realm = uint32(n) }},
		{name: "inindex", max: m32, num: func(p *parser, n uint64) { p.f.In.Index = uint32(n) }},
		{name: "outindex", max: m32, num: func(p *parser, n uint64) { p.f.Out.Index = uint32(n) }},
		{name: "ingroup", max: m32, num: func(p *parser, n uint64) { p.f.In.Group = uint32(n) }},
		{name: "outgroup", max: m32, num: func(p *parser, n uint64) { p.f.Out.Group = uint32(n) }},
		{name: "physin", read: func(p *parser, n string) error { return p.iface(n, &p.f.PhysIn.Name) }},
		{name: "physout", read: func(p *parser, n string) error { return p.iface(n, &p.f.PhysOut.Name) }},
		{name: "local", read: (*parser).local},
		{name: "decrypted", read: func(p *parser, n string) error { return p.transforms(n, &p.f.Decrypted) }},
		{name: "encrypts", read: func(p *parser, n string) error { return p.transforms(n, &p.f.Encrypts) }},
		{name: "jiffies", max: 1<<64 - 1, num: func(p *parser, n uint64) { p.f.World.Jiffies = n }},
		{name: "clock", max: 1<<64 - 1, num: func(p *parser, n uint64) { p.f.World.Clock = n }},
		{name: "random", max: m32, num: func(p *parser, n uint64) { p.f.World.Random = func() uint32 { return uint32(n) } }},
	}
}

// wordTable is words(), by name.
var wordTable = sync.OnceValue(func() map[string]word {
	t := map[string]word{}
	for _, w := range words() {
		t[w.name] = w
	}
	return t
})

// Words are the names of the words that may follow the addresses.
func Words() []string {
	var names []string
	for _, w := range words() {
		names = append(names, w.name)
	}
	return names
}

func (p *parser) word(name string) error {
	if isStateWord(name) { // "new" alone is "ct new"
		p.words = append([]string{name}, p.words...)
		name = "ct"
	}
	w, ok := wordTable()[name]
	if !ok {
		return fmt.Errorf("%s: not a word of the packet language; give one of %s", name, strings.Join(Words(), " "))
	}
	if w.bytes && p.s == nil {
		return fmt.Errorf("%s: changes the bytes of a raw packet; change the hexadecimal instead", name)
	}
	if w.bytes && w.proto != nil && !slices.Contains(w.proto, p.s.Proto) {
		return fmt.Errorf("%s: protocol %d has none; leave it out", name, p.s.Proto)
	}
	if w.read != nil {
		return w.read(p, name)
	}
	n, err := p.number(name, w.max)
	if err == nil {
		w.num(p, n)
	}
	return err
}

// only refuses a word that the other family does not have.
func (p *parser) only(family Family, name string) error {
	if p.family != family {
		return fmt.Errorf("%s: an %s packet has none; leave it out", name, p.family)
	}
	return nil
}

func (p *parser) conn() *Conn {
	if p.f.Conn == nil {
		p.f.Conn = &Conn{}
	}
	return p.f.Conn
}

func (p *parser) sock() *Socket {
	if p.f.Sock == nil {
		p.f.Sock = &Socket{}
	}
	return p.f.Sock
}

func (p *parser) iface(name string, into *string) error {
	a, err := p.arg(name, "an interface")
	if err == nil && len(a) > 15 {
		err = fmt.Errorf("%s: %q is longer than 15 bytes", name, a)
	}
	*into = a
	return err
}

// carried reads what went in both directions of the connection.
func (p *parser) carried(name string, put func(*Carried, uint64)) error {
	a, err := p.arg(name, "two numbers: of the original direction, slash, of replies")
	if err != nil {
		return err
	}
	if p.conn().Carried == nil {
		p.conn().Carried = &[2]Carried{}
	}
	original, replies, _ := strings.Cut(a, "/")
	for i, one := range []string{original, replies} {
		n, err := parseNumber(name, one, math.MaxUint64)
		if err != nil {
			return err
		}
		put(&p.conn().Carried[i], n)
	}
	return nil
}

func (p *parser) labels(name string) error {
	a, err := p.arg(name, "numbers of labels, separated by commas")
	if err != nil {
		return err
	}
	for _, one := range strings.Split(a, ",") {
		n, err := parseNumber(name, one, 127)
		if err != nil {
			return err
		}
		p.conn().Labels[n/64] |= 1 << (n % 64)
	}
	return nil
}

func (p *parser) local(name string) error {
	a, err := p.arg(name, "addresses of this host, separated by commas")
	if err != nil {
		return err
	}
	var set []netip.Addr
	for _, one := range strings.Split(a, ",") {
		addr, err := netip.ParseAddr(one)
		if err != nil {
			return fmt.Errorf("%s: %q is not an address", name, one)
		}
		set = append(set, addr)
	}
	p.f.World.AddrTypes = func(a netip.Addr, _ string) uint32 {
		if slices.Contains(set, a) {
			return 1 << 2 // RTN_LOCAL
		}
		return 1 << RouteType(a)
	}
	return nil
}

// RouteType is the RTN_* type that an address has on a host with no addresses but
// those of lo (__inet_dev_addr_type(), net/ipv4/fib_frontend.c; ipv6_addr_type()).
func RouteType(a netip.Addr) uint32 {
	const unspec, unicast, local, broadcast, multicast = 0, 1, 2, 3, 5
	switch {
	case a.IsMulticast():
		return multicast
	case a.IsLoopback():
		return local
	case a.Is4() && (a.As4()[0] == 0 || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})):
		return broadcast
	case a.IsUnspecified():
		return unspec
	}
	return unicast
}
