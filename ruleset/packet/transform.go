package packet

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// transforms reads PROTOCOL/MODE/SPI/REQID/SOURCE/DESTINATION, separated by commas.
func (p *parser) transforms(name string, into *[]Transform) error {
	a, err := p.arg(name, "transformations, separated by commas")
	if err != nil {
		return err
	}
	for _, one := range strings.Split(a, ",") {
		t, err := parseTransform(name, one)
		if err != nil {
			return err
		}
		*into = append(*into, t)
	}
	return nil
}

func parseTransform(name, text string) (t Transform, err error) {
	parts := strings.Split(text, "/")
	if len(parts) != 6 {
		return t, fmt.Errorf("%s: %q is not PROTOCOL/MODE/SPI/REQID/SOURCE/DESTINATION", name, text)
	}
	var numbers [4]uint64
	for i, most := range []uint64{math.MaxUint8, math.MaxUint8, math.MaxUint32, math.MaxUint32} {
		if numbers[i], err = parseNumber(name, parts[i], most); err != nil {
			return t, err
		}
	}
	var addrs [2]netip.Addr
	for i, part := range parts[4:] {
		if addrs[i], err = netip.ParseAddr(part); err != nil {
			return t, fmt.Errorf("%s: %q is not an address", name, part)
		}
	}
	return Transform{
		Proto: uint8(numbers[0]), Mode: uint8(numbers[1]), SPI: uint32(numbers[2]), ReqID: uint32(numbers[3]),
		Src: addrs[0], Dst: addrs[1],
	}, nil
}

// String is how the packet language spells it.
func (t Transform) String() string {
	return fmt.Sprintf("%d/%d/%#x/%d/%s/%s", t.Proto, t.Mode, t.SPI, t.ReqID, t.Src, t.Dst)
}

func (w *writer) transforms(name string, all []Transform) {
	var s []string
	for _, t := range all {
		s = append(s, t.String())
	}
	if len(s) > 0 {
		w.add(name, strings.Join(s, ","))
	}
}
