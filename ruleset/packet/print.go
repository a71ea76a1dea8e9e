package packet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// String is the packet in the packet language; Parse reads it back to the same
// bytes. What the language cannot say (clocks, chance) is left out.
func (f *Facts) String() string { return f.Text() }

// Text is String.
func (f *Facts) Text() string {
	var w writer
	if s := specOf(f); s != nil {
		w.spec(s)
	} else {
		w.add("raw", hex.EncodeToString(f.Raw))
	}
	w.surroundings(f)
	w.conn(f)
	return strings.Join(w.words, " ")
}

type writer struct{ words []string }

func (w *writer) add(words ...string) { w.words = append(w.words, words...) }

// num adds a word with a number unless it has the value that Parse assumes.
func (w *writer) num(name string, n, assumed uint64) {
	if n != assumed {
		w.add(name, fmt.Sprint(n))
	}
}

func (w *writer) hexWord(name string, b []byte) {
	if len(b) > 0 {
		w.add(name, hex.EncodeToString(b))
	}
}

func (w *writer) spec(s *Spec) {
	ports := hasPorts(s.Proto)
	w.add(protoName(s.Proto), endpoint(s.Src, s.SrcPort, ports), ">", endpoint(s.Dst, s.DstPort, ports))
	d := NewSpec(s.Family, s.Proto)
	switch s.Proto {
	case protoTCP:
		w.add("flags", bitNames(uint32(s.Flags), flagNames))
		w.num("ack", uint64(s.Ack), 0)
		w.num("win", uint64(s.Win), uint64(d.Win))
	case protoICMP, protoICMPv6:
		w.add("type", fmt.Sprintf("%d/%d", s.Type, s.Code))
		w.num("rest", uint64(s.Rest), uint64(d.Rest))
	case protoDCCP:
		w.num("type", uint64(s.Type), 0)
	case protoESP, protoAH:
		w.num("spi", uint64(s.SPI), 1)
	}
	w.num("seq", uint64(s.Seq), uint64(d.Seq))
	w.num("doff", uint64(s.Doff), 0)
	w.hexWord("opts", s.Opts)
	w.num("ttl", uint64(s.TTL), uint64(d.TTL))
	if s.TOS != 0 {
		w.add("tos", fmt.Sprintf("%#x", s.TOS))
	}
	w.num("id", uint64(s.ID), 0)
	if s.DF {
		w.add("df")
	}
	if s.FragOff != 0 || s.MF {
		more := ""
		if s.MF {
			more = "+"
		}
		w.add("frag", fmt.Sprintf("%d%s", s.FragOff, more))
	}
	w.hexWord("ipopts", s.IPOpts)
	w.exts(s.Ext)
	w.hexWord("payload", s.Payload)
	w.num("len", uint64(s.Len), 0)
	w.num("cut", uint64(s.Cut), 0)
	if s.BadSum {
		w.add("badsum")
	}
}

func (w *writer) exts(ext []Ext) {
	var list []string
	for _, e := range ext {
		list = append(list, e.text())
	}
	if list != nil {
		w.add("ext", strings.Join(list, ","))
	}
}

// text is the header as parseExt reads it: by name alone where that gives the same
// bytes.
func (e Ext) text() string {
	name := fmt.Sprint(e.Header)
	for n, v := range extNames {
		if v == e.Header {
			name = n
		}
	}
	shorts := []string{name}
	if e.Header == extFragment && len(e.Body) == 7 {
		v, more := be16(e.Body[1:]), ""
		if v&1 != 0 {
			more = "+"
		}
		shorts = append(shorts, fmt.Sprintf("%s:%d%s", name, v>>3, more),
			fmt.Sprintf("%s:%d%s/%d", name, v>>3, more, binary.BigEndian.Uint32(e.Body[3:])))
	}
	for _, short := range shorts {
		if back, err := parseExt(short); err == nil && bytes.Equal(back.bytes(), e.bytes()) {
			return short
		}
	}
	return name + "=" + hex.EncodeToString(e.Body)
}

func protoName(proto uint8) string {
	if proto == protoICMPv6 {
		return "icmp6"
	}
	for n, v := range protoNames {
		if v == proto {
			return n
		}
	}
	return fmt.Sprint(proto)
}

func endpoint(a netip.Addr, port uint16, ports bool) string {
	switch {
	case !ports && a.Is4():
		return a.String()
	case !ports:
		return "[" + a.String() + "]"
	}
	return netip.AddrPortFrom(a, port).String()
}

// bitNames is what parseBits reads.
func bitNames(bits uint32, names []string) string {
	var list []string
	for i, n := range names {
		if bits&(1<<i) != 0 {
			list = append(list, n)
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ",")
}

func (w *writer) surroundings(f *Facts) {
	for _, i := range []struct{ name, value string }{{"in", f.In.Name}, {"out", f.Out.Name}, {"physin", f.PhysIn.Name}, {"physout", f.PhysOut.Name}} {
		if i.value != "" {
			w.add(i.name, i.value)
		}
	}
	if f.Hook != defaultHook(f) {
		w.add("hook", strings.ToLower(f.Hook.String()))
	}
	if f.Mark != 0 {
		w.add("mark", fmt.Sprintf("%#x", f.Mark))
	}
	if len(f.Link) == 14 {
		w.add("mac", net.HardwareAddr(f.Link[6:12]).String())
	}
	if f.PktType != 0 && int(f.PktType) < len(pktTypes) {
		w.add("pkttype", pktTypes[f.PktType])
	}
	switch {
	case f.Sock != nil && f.Sock.HasFile:
		w.add("uid", fmt.Sprint(f.Sock.UID), "gid", fmt.Sprint(f.Sock.GID))
	case f.Sock != nil:
		w.add("nofile")
	}
	w.num("cpu", uint64(f.CPU), 0)
	w.num("realm", uint64(f.Realm), 0)
	w.transforms("decrypted", f.Decrypted)
	w.transforms("encrypts", f.Encrypts)
	w.num("inindex", uint64(f.In.Index), 0)
	w.num("outindex", uint64(f.Out.Index), 0)
	w.num("ingroup", uint64(f.In.Group), 0)
	w.num("outgroup", uint64(f.Out.Group), 0)
}

// conn writes the state and what the connection has besides the values that
// finish gives it.
func (w *writer) conn(f *Facts) {
	state := "invalid"
	for name, bit := range stateBits {
		if f.CtState&bit != 0 {
			state = name
		}
	}
	c := f.Conn
	if c == nil {
		w.add("ct", state)
		return
	}
	if c.Reply {
		state += ",reply"
	}
	w.add("ct", state)
	plain := *f
	plain.Conn = &Conn{Reply: c.Reply}
	finish(&plain)
	w.num("ctstatus", uint64(c.Status), uint64(plain.Conn.Status))
	w.num("ctproto", uint64(c.Proto), uint64(plain.Conn.Proto))
	if c.Orig != plain.Conn.Orig {
		w.add("ctorig", endpoint(c.Orig.Src, c.Orig.SrcPort, true), ">", endpoint(c.Orig.Dst, c.Orig.DstPort, true))
	}
	if c.Repl != c.Orig.reversed() {
		w.add("ctrepl", endpoint(c.Repl.Src, c.Repl.SrcPort, true), ">", endpoint(c.Repl.Dst, c.Repl.DstPort, true))
	}
	w.num("ctmark", uint64(c.Mark), 0)
	w.num("ctexpire", uint64(c.ExpiresSecs), 0)
	if n := c.Carried; n != nil {
		w.add("ctpackets", fmt.Sprintf("%d/%d", n[0].Packets, n[1].Packets), "ctbytes", fmt.Sprintf("%d/%d", n[0].Bytes, n[1].Bytes))
	}
	var labels []string
	for bit := range 128 {
		if c.Labels[bit/64]>>(bit%64)&1 != 0 {
			labels = append(labels, fmt.Sprint(bit))
		}
	}
	if len(labels) > 0 {
		w.add("ctlabels", strings.Join(labels, ","))
	}
}
