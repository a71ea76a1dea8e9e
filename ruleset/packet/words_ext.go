package packet

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

var extNames = map[string]uint8{
	"hop": extHop, "routing": extRouting, "frag": extFragment, "ah": extAuth, "dst": extDest, "none": extNone,
}

// ext reads "hop,routing:0/1,frag:8+": extension headers in their order.
func (p *parser) ext(name string) error {
	a, err := p.arg(name, "IPv6 extension headers separated by commas")
	if err != nil {
		return err
	}
	if err := p.only(IPv6, name); err != nil {
		return err
	}
	for _, one := range strings.Split(a, ",") {
		e, err := parseExt(one)
		if err != nil {
			return err
		}
		p.s.Ext = append(p.s.Ext, e)
	}
	return nil
}

// parseExt reads NAME[@LEN][:SHORT | =HEX].
func parseExt(text string) (Ext, error) {
	e := Ext{HdrLen: -1}
	head, short, hasShort := strings.Cut(text, ":")
	var body string
	hasBody := false
	if !hasShort {
		head, body, hasBody = strings.Cut(text, "=")
	}
	name, lenText, hasLen := strings.Cut(head, "@")
	n, ok := extNames[name]
	if !ok {
		v, err := strconv.ParseUint(name, 0, 8)
		if err != nil || !isExt(uint8(v)) {
			return e, fmt.Errorf("ext: %q is not one of hop, routing, frag, ah, dst, none", name)
		}
		n = uint8(v)
	}
	e.Header = n
	if hasLen {
		v, err := parseNumber("ext "+name, lenText, 255)
		if err != nil {
			return e, err
		}
		e.HdrLen = int(v)
	}
	var err error
	switch {
	case hasBody:
		e.Body, err = parseHex("ext "+name, body)
	default:
		e.Body, err = extBody(n, short)
	}
	if err == nil && n == extFragment && len(e.Body) == 6 {
		e.Body = append([]byte{0}, e.Body...) // the reserved byte left out
	}
	return e, err
}

// extBody makes the body of a header from its short form; an empty one gives the
// plainest header there is.
func extBody(header uint8, short string) ([]byte, error) {
	switch header {
	case extFragment:
		return fragBody(short)
	case extRouting:
		return routingBody(short)
	case extAuth:
		spi, err := optionalNumber("ext ah", short, 1, 0xffffffff)
		b := make([]byte, 22) // reserved, SPI, sequence number, 12 bytes of ICV
		binary.BigEndian.PutUint32(b[2:], uint32(spi))
		return b, err
	}
	if short != "" {
		return nil, fmt.Errorf("ext: %q: this header has no short form; give =HEX, its bytes from the third on", short)
	}
	return []byte{1, 4, 0, 0, 0, 0}, nil // PadN
}

func optionalNumber(word, text string, or, max uint64) (uint64, error) {
	if text == "" {
		return or, nil
	}
	return parseNumber(word, text, max)
}

// fragBody reads OFFSET[+][/ID], the offset in units of 8 bytes.
func fragBody(short string) ([]byte, error) {
	off, id, _ := strings.Cut(short, "/")
	off, more := strings.CutSuffix(off, "+")
	n, err := optionalNumber("ext frag", off, 0, 0x1fff)
	if err != nil {
		return nil, err
	}
	ident, err := optionalNumber("ext frag", id, 1, 0xffffffff)
	b := make([]byte, 7)
	v := uint16(n) << 3
	if more {
		v |= 1
	}
	binary.BigEndian.PutUint16(b[1:], v)
	binary.BigEndian.PutUint32(b[3:], uint32(ident))
	return b, err
}

// routingBody reads TYPE[/SEGMENTS-LEFT[/ADDRESSES]], addresses separated by "+".
func routingBody(short string) ([]byte, error) {
	parts := strings.SplitN(short, "/", 3)
	t, err := optionalNumber("ext routing", parts[0], 0, 255)
	if err != nil {
		return nil, err
	}
	b := []byte{byte(t), 0, 0, 0, 0, 0}
	if len(parts) > 1 {
		left, err := optionalNumber("ext routing", parts[1], 0, 255)
		if err != nil {
			return nil, err
		}
		b[1] = byte(left)
	}
	if len(parts) > 2 {
		p := &parser{family: IPv6}
		for _, one := range strings.Split(parts[2], "+") {
			a, _, err := p.endpoint(one, 0)
			if err != nil {
				return nil, err
			}
			b = append(b, a.AsSlice()...)
		}
	}
	return b, nil
}
