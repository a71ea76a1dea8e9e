package packet

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Parse reads one packet of the packet language (docs/packets.md): its bytes are
// made and decoded, then the words about its surroundings are added.
//
// An error names the word that is wrong and says what would do.
func Parse(family Family, text string) (*Facts, error) {
	s, f, err := ParseSpec(family, text)
	if err != nil {
		return nil, err
	}
	if s != nil {
		if f.Raw, err = s.Build(); err != nil {
			return nil, fmt.Errorf("packet: %w", err)
		}
	}
	d, ok := Decode(family, f.Raw)
	if !ok {
		return nil, fmt.Errorf("packet: raw: no whole %s header; give the bytes from the IP header on", family)
	}
	f.Raw, f.Len, f.Proto, f.L4, f.THOff, f.FragOff = d.Raw, d.Len, d.Proto, d.L4, d.THOff, d.FragOff
	finish(f)
	return f, nil
}

// ParseSpec reads one packet of the packet language without making its bytes: what
// the bytes shall be, and the facts that are not in them. The Spec is nil when the
// text gives the bytes themselves; they are in Facts.Raw then.
func ParseSpec(family Family, text string) (*Spec, *Facts, error) {
	p := &parser{family: family, f: &Facts{Family: family, World: &World{}}, words: tokens(text)}
	if err := p.run(); err != nil {
		return nil, nil, fmt.Errorf("packet: %w", err)
	}
	return p.s, p.f, nil
}

// tokens splits the text at white space; the arrow between addresses is a word of
// its own.
func tokens(text string) []string {
	text = strings.ReplaceAll(text, "->", ">")
	return strings.Fields(strings.ReplaceAll(text, ">", " > "))
}

type parser struct {
	family  Family
	s       *Spec // nil: raw bytes
	f       *Facts
	words   []string
	hookSet bool
	flagSet bool
	ctSet   bool
}

func (p *parser) run() error {
	if len(p.words) == 0 {
		return fmt.Errorf("empty; give a protocol and addresses, such as tcp 192.0.2.1:40000 > 198.51.100.1:22")
	}
	if err := p.protocol(); err != nil {
		return err
	}
	if p.s != nil && len(p.words) > 0 && looksLikeAddr(p.words[0]) {
		if err := p.addresses(); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for len(p.words) > 0 {
		name := strings.ToLower(p.words[0])
		p.words = p.words[1:]
		if seen[name] {
			return fmt.Errorf("%s: given twice; give it once", name)
		}
		seen[name] = true
		if err := p.word(name); err != nil {
			return err
		}
	}
	p.defaults()
	return nil
}

var protoNames = map[string]uint8{
	"icmp": protoICMP, "tcp": protoTCP, "udp": protoUDP, "dccp": protoDCCP, "gre": protoGRE, "esp": protoESP, "ah": protoAH,
	"icmp6": protoICMPv6, "icmpv6": protoICMPv6, "ipv6-icmp": protoICMPv6, "sctp": protoSCTP, "udplite": protoUDPLite,
	"igmp": 2, "ipip": 4, "ipv6": 41, "none": extNone, "ospf": 89, "pim": 103, "vrrp": 112,
}

func (p *parser) protocol() error {
	name := strings.ToLower(p.words[0])
	p.words = p.words[1:]
	if name == "raw" {
		b, err := p.hex("raw")
		p.f.Raw = b
		return err
	}
	proto, ok := protoNames[name]
	if !ok {
		n, err := strconv.ParseUint(name, 0, 8)
		if err != nil {
			return fmt.Errorf("%s: not a protocol; give tcp, udp, udplite, sctp, dccp, icmp, icmp6, esp, ah, gre, a number up to 255, or raw HEX", name)
		}
		proto = uint8(n)
	}
	p.s = NewSpec(p.family, proto)
	return nil
}

func looksLikeAddr(w string) bool {
	return strings.HasPrefix(w, "[") || strings.ContainsRune(w, ':') || strings.Count(w, ".") == 3
}

func (p *parser) addresses() error {
	if len(p.words) < 3 || p.words[1] != ">" {
		return fmt.Errorf("%s: one address only; give SOURCE > DESTINATION", p.words[0])
	}
	var err error
	if p.s.Src, p.s.SrcPort, err = p.endpoint(p.words[0], p.s.SrcPort); err != nil {
		return err
	}
	if p.s.Dst, p.s.DstPort, err = p.endpoint(p.words[2], p.s.DstPort); err != nil {
		return err
	}
	if !hasPorts(p.s.Proto) && (strings.Contains(portPart(p.words[0]), ":") || strings.Contains(portPart(p.words[2]), ":")) {
		return fmt.Errorf("%s: this protocol has no ports; give the addresses alone", p.words[0])
	}
	p.words = p.words[3:]
	return nil
}

// portPart is what of an endpoint may hold a colon before a port.
func portPart(w string) string {
	if strings.HasPrefix(w, "[") {
		return w[strings.IndexByte(w, ']')+1:]
	}
	if strings.Count(w, ":") > 1 {
		return ""
	}
	return w
}

func (p *parser) endpoint(w string, port uint16) (netip.Addr, uint16, error) {
	host := w
	if part := portPart(w); strings.Contains(part, ":") {
		i := strings.LastIndexByte(w, ':')
		n, err := strconv.ParseUint(w[i+1:], 10, 16)
		if err != nil {
			return netip.Addr{}, 0, fmt.Errorf("%s: %q is not a port; give 0 to 65535", w, w[i+1:])
		}
		host, port = w[:i], uint16(n)
	}
	if strings.HasPrefix(host, "[") {
		if !strings.HasSuffix(host, "]") {
			return netip.Addr{}, 0, fmt.Errorf("%s: not an address; give [ADDRESS]:PORT", w)
		}
		host = host[1 : len(host)-1]
	}
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, 0, fmt.Errorf("%s: not an address; give ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, without names", w)
	}
	if a.Is4() != (p.family == IPv4) {
		return netip.Addr{}, 0, fmt.Errorf("%s: not an %s address; this packet goes to the %s rules", w, p.family, p.family)
	}
	return a, port, nil
}

// arg takes the argument of a word.
func (p *parser) arg(word, what string) (string, error) {
	if len(p.words) == 0 {
		return "", fmt.Errorf("%s: nothing follows; give %s", word, what)
	}
	a := p.words[0]
	p.words = p.words[1:]
	return a, nil
}

func (p *parser) number(word string, max uint64) (uint64, error) {
	a, err := p.arg(word, fmt.Sprintf("a number up to %d", max))
	if err != nil {
		return 0, err
	}
	return parseNumber(word, a, max)
}

func parseNumber(word, a string, max uint64) (uint64, error) {
	n, err := strconv.ParseUint(a, 0, 64)
	if err != nil || n > max {
		return 0, fmt.Errorf("%s: %q is not a number up to %d", word, a, max)
	}
	return n, nil
}

func (p *parser) hex(word string) ([]byte, error) {
	a, err := p.arg(word, "bytes in hexadecimal")
	if err != nil {
		return nil, err
	}
	return parseHex(word, a)
}

func parseHex(word, a string) ([]byte, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(strings.ReplaceAll(a, ":", ""), "0x"))
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not hexadecimal; give two digits per byte", word, a)
	}
	return b, nil
}
