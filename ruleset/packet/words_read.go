package packet

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

var flagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"}

func (p *parser) flags(name string) error {
	a, err := p.arg(name, "TCP flags separated by commas, or none")
	if err != nil {
		return err
	}
	p.flagSet = true
	bits, err := parseBits(name, a, flagNames)
	p.s.Flags = uint8(bits)
	return err
}

// parseBits reads names separated by commas, "none" or "all", or a number.
func parseBits(word, a string, names []string) (uint32, error) {
	a = strings.ToLower(a)
	if a == "none" {
		return 0, nil
	}
	if a == "all" {
		return 1<<len(names) - 1, nil
	}
	if n, err := strconv.ParseUint(a, 0, 8); err == nil {
		return uint32(n), nil
	}
	var bits uint32
next:
	for _, one := range strings.Split(a, ",") {
		for i, n := range names {
			if one == n {
				bits |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("%s: %q is not one of %s, none, all", word, one, strings.Join(names, " "))
	}
	return bits, nil
}

var icmpNames = map[uint8]map[string]uint8{
	protoICMP: {"echo-reply": 0, "destination-unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11, "parameter-problem": 12,
		"timestamp-request": 13, "timestamp-reply": 14},
	protoICMPv6: {"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "echo-reply": 129,
		"router-solicitation": 133, "router-advertisement": 134, "neighbour-solicitation": 135, "neighbour-advertisement": 136},
	protoDCCP: {"request": 0, "response": 1, "data": 2, "ack": 3, "dataack": 4, "closereq": 5, "close": 6, "reset": 7, "sync": 8, "syncack": 9},
}

func (p *parser) icmpType(name string) error {
	a, err := p.arg(name, "a type, or TYPE/CODE")
	if err != nil {
		return err
	}
	t, code, hasCode := strings.Cut(a, "/")
	n, ok := icmpNames[p.s.Proto][t]
	if !ok {
		v, err := parseNumber(name, t, 255)
		if err != nil {
			return err
		}
		n = uint8(v)
	}
	p.s.Type = n
	if hasCode {
		v, err := parseNumber(name, code, 255)
		if err != nil {
			return err
		}
		p.s.Code = uint8(v)
	}
	return nil
}

var chunkNames = []string{"data", "init", "initack", "sack", "heartbeat", "heartbeatack", "abort", "shutdown", "shutdownack", "error",
	"cookieecho", "cookieack", "ecne", "ecwr", "shutdowncomplete"}

// chunks reads "init,data:3": SCTP chunks of 4 bytes, with flags after a colon.
func (p *parser) chunks(name string) error {
	a, err := p.arg(name, "SCTP chunk types separated by commas")
	if err != nil {
		return err
	}
	for _, one := range strings.Split(a, ",") {
		t, flags, _ := strings.Cut(one, ":")
		kind := -1
		for i, n := range chunkNames {
			if t == n {
				kind = i
			}
		}
		if kind < 0 {
			v, err := parseNumber(name, t, 255)
			if err != nil {
				return err
			}
			kind = int(v)
		}
		var bits uint64
		if flags != "" {
			if bits, err = parseNumber(name, flags, 255); err != nil {
				return err
			}
		}
		p.s.Payload = append(p.s.Payload, byte(kind), byte(bits), 0, 4)
	}
	return nil
}

// frag reads "185+": an offset in units of 8 bytes, + for more fragments.
func (p *parser) frag(name string) error {
	a, err := p.arg(name, "an offset in units of 8 bytes, with + for more fragments")
	if err != nil {
		return err
	}
	if p.family == IPv6 {
		e, err := parseExt("frag:" + a)
		p.s.Ext = append(p.s.Ext, e)
		return err
	}
	off, more := strings.CutSuffix(a, "+")
	n, err := parseNumber(name, off, 0x1fff)
	p.s.FragOff, p.s.MF = uint16(n), more
	return err
}

func (p *parser) ipopts(name string) (err error) {
	p.s.IPOpts, err = p.hex(name)
	if err == nil {
		err = p.only(IPv4, name)
	}
	return err
}

func (p *parser) mark(name string) error {
	a, err := p.arg(name, "a number")
	if err != nil {
		return err
	}
	v, mask, hasMask := strings.Cut(a, "/")
	n, err := parseNumber(name, v, 0xffffffff)
	if err != nil {
		return err
	}
	m := uint64(0xffffffff)
	if hasMask {
		if m, err = parseNumber(name, mask, m); err != nil {
			return err
		}
	}
	p.f.Mark = uint32(n & m)
	return nil
}

func (p *parser) mac(name string) error {
	a, err := p.arg(name, "an Ethernet source address")
	if err != nil {
		return err
	}
	m, err := net.ParseMAC(a)
	if err != nil || len(m) != 6 {
		return fmt.Errorf("%s: %q is not an Ethernet address; give six bytes, such as 02:00:00:00:00:01", name, a)
	}
	p.f.Link = []byte{2, 0, 0, 0, 0, 0xfe, m[0], m[1], m[2], m[3], m[4], m[5], 0x08, 0x00}
	if p.family == IPv6 {
		p.f.Link[12], p.f.Link[13] = 0x86, 0xdd
	}
	return nil
}

var pktTypes = []string{"host", "broadcast", "multicast", "otherhost", "outgoing", "loopback"}

func (p *parser) pktType(name string) error {
	a, err := p.arg(name, "one of "+strings.Join(pktTypes, " "))
	if err != nil {
		return err
	}
	for i, n := range pktTypes {
		if a == n || a == strconv.Itoa(i) {
			p.f.PktType = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("%s: %q is not one of %s", name, a, strings.Join(pktTypes, " "))
}

func (p *parser) hook(name string) error {
	a, err := p.arg(name, "one of prerouting input forward output postrouting")
	if err != nil {
		return err
	}
	h, ok := HookByName(strings.ToUpper(a))
	if !ok {
		return fmt.Errorf("%s: %q is not one of prerouting input forward output postrouting", name, a)
	}
	p.f.Hook, p.hookSet = h, true
	return nil
}
