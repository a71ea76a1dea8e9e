package layout

import "github.com/bpftables/bpftables/ruleset/packet"

// Values are what the rows of a chain fix of a packet's key, by row in the order in which they were
// added. Keys would take twice the room and more: of most rows there is nothing beyond addresses,
// ports and protocol.
type Values struct {
	addresses int      // words of addresses
	narrow    []uint64 // addresses, ports and protocol
	wide      []uint64 // the other words; nil as long as all are 0
}

// NewValues has room for some rows.
func NewValues(family packet.Family, rows int) *Values {
	v := &Values{addresses: 1}
	if family == packet.IPv6 {
		v.addresses = 4
	}
	v.narrow = make([]uint64, 0, rows*(v.addresses+1))
	return v
}

// Add appends the value of a row and gives its number.
func (v *Values) Add(k *Key) int32 {
	n := len(v.narrow) / (v.addresses + 1)
	v.narrow = append(append(v.narrow, k.Addresses[:v.addresses]...), k.Other[TransportWord])
	if v.wide == nil && k.wide() {
		v.wide = make([]uint64, n*(otherWords-namesWord), cap(v.narrow)/(v.addresses+1)*(otherWords-namesWord))
	}
	if v.wide != nil {
		v.wide = append(v.wide, k.Other[namesWord:]...)
	}
	return int32(n)
}

// Of gives the value of a row.
func (v *Values) Of(e *Entry) (k Key) {
	words := v.narrow[int(e.Value)*(v.addresses+1):]
	copy(k.Addresses[:], words[:v.addresses])
	k.Other[TransportWord] = words[v.addresses]
	if v.wide != nil {
		copy(k.Other[namesWord:], v.wide[int(e.Value)*(otherWords-namesWord):])
	}
	return k
}
