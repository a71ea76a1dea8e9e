package interp

import (
	"encoding/binary"
	"slices"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// changeHeader changes the IP header of a packet, in a copy of its bytes.
func changeHeader(f *packet.Facts, c pred.HeaderChange) {
	if _, ok := f.Bytes(int(c.Off), int(c.Width)); !ok {
		return
	}
	f.Raw = slices.Clone(f.Raw)
	at := f.Raw[c.Off : c.Off+c.Width]
	if c.Width == 1 {
		at[0] = byte(c.Apply(uint16(at[0])))
	} else {
		binary.BigEndian.PutUint16(at, c.Apply(binary.BigEndian.Uint16(at)))
	}
	head := int(f.Raw[0]&15) * 4
	if f.Family == packet.IPv4 && head >= 20 && head <= len(f.Raw) {
		clear(f.Raw[10:12])
		binary.BigEndian.PutUint16(f.Raw[10:], packet.Checksum(f.Raw[:head], 0))
	}
}
