package layout

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// HashKeys are the multipliers of the hash; all are odd.
type HashKeys [4]uint64

// DrawKeys draws odd multipliers, so that nobody can choose addresses that collide.
func DrawKeys() (keys HashKeys) {
	var random [8 * len(keys)]byte
	rand.Read(random[:]) // does not fail
	for i := range keys {
		keys[i] = binary.LittleEndian.Uint64(random[8*i:]) | 1
	}
	return keys
}

// The words of a key: addresses (one for IPv4, four for IPv6), then these.
const (
	TransportWord = iota
	namesWord
	marksWord
	otherWords
)

// Key is a packet's key or a mask of it. IPv4 uses the first address word only.
type Key struct {
	Addresses [4]uint64
	Other     [otherWords]uint64
}

// And gives the bits that both have.
func (k *Key) And(o *Key) Key {
	var out Key
	for i := range k.Addresses {
		out.Addresses[i] = k.Addresses[i] & o.Addresses[i]
	}
	for i := range k.Other {
		out.Other[i] = k.Other[i] & o.Other[i]
	}
	return out
}

// Within says whether all bits of a mask are among those of another.
func (k *Key) Within(o *Key) bool { return k.And(o) == *k }

// Ones counts bits.
func (k *Key) Ones() int {
	n := 0
	for _, w := range k.Addresses {
		n += bits.OnesCount64(w)
	}
	for _, w := range k.Other {
		n += bits.OnesCount64(w)
	}
	return n
}

// wide says whether a mask has bits beyond addresses, ports and protocol.
func (k *Key) wide() bool { return k.Other[namesWord]|k.Other[marksWord] != 0 }

// hash is tuple_hash of bpf/lookup/search.h on a masked key.
func (m *Memory) hash(k *Key, wide bool) uint64 {
	h := k.Addresses[0] * m.Keys[0]
	if m.Family == packet.IPv6 {
		h ^= k.Addresses[1] * m.Keys[1]
		h = (h ^ h>>32) * m.Keys[3]
		h ^= k.Addresses[2] * m.Keys[0]
		h ^= k.Addresses[3] * m.Keys[1]
		h = (h ^ h>>32) * m.Keys[3]
	}
	h ^= k.Other[TransportWord] * m.Keys[2]
	if wide {
		h = (h ^ h>>32) * m.Keys[3]
		h ^= k.Other[namesWord] * m.Keys[0]
		h ^= k.Other[marksWord] * m.Keys[1]
	}
	return (h ^ h>>32) * m.Keys[3]
}

// nameHash is name_hash of bpf/lookup/search.h.
func (m *Memory) nameHash(name *[16]byte) uint64 {
	a, b := binary.LittleEndian.Uint64(name[:]), binary.LittleEndian.Uint64(name[8:])
	return (a*m.Keys[0] ^ b*m.Keys[1]) >> 32
}

// Fixed gives the bits of the key that the conditions of a row fix, and their values.
func (m *Memory) Fixed(r *rule.Row) (value, mask Key) {
	if r.Flags&abi.NotSrc == 0 {
		m.fixAddress(&value, &mask, r.Src, r.SrcMask, false)
	}
	if r.Flags&abi.NotDst == 0 {
		m.fixAddress(&value, &mask, r.Dst, r.DstMask, true)
	}
	t, tm := &value.Other[TransportWord], &mask.Other[TransportWord]
	if r.SPort.Lo == r.SPort.Hi && r.Flags&abi.NotSPort == 0 {
		*t |= uint64(bits.ReverseBytes16(r.SPort.Lo))
		*tm |= 0xffff
	}
	if r.DPort.Lo == r.DPort.Hi && r.Flags&abi.NotDPort == 0 {
		*t |= uint64(bits.ReverseBytes16(r.DPort.Lo)) << 16
		*tm |= 0xffff << 16
	}
	if r.Flags&abi.HasProto != 0 && r.Flags&abi.NotProto == 0 {
		*t |= uint64(r.Proto) << 32
		*tm |= 0xff << 32
	}
	if r.In != nil {
		value.Other[namesWord] |= m.nameHash(r.In)
		mask.Other[namesWord] |= 0xffffffff
	}
	if r.Out != nil {
		value.Other[namesWord] |= m.nameHash(r.Out) << 32
		mask.Other[namesWord] |= 0xffffffff << 32
	}
	if r.Mark != nil {
		value.Other[marksWord] = uint64(*r.Mark)
		mask.Other[marksWord] = 0xffffffff
	}
	return value, mask
}

func (m *Memory) fixAddress(value, mask *Key, v, vm [16]byte, dst bool) {
	if m.Family == packet.IPv4 {
		shift := 0
		if dst {
			shift = 32
		}
		vmask := uint64(binary.LittleEndian.Uint32(vm[:]))
		value.Addresses[0] |= (uint64(binary.LittleEndian.Uint32(v[:])) & vmask) << shift
		mask.Addresses[0] |= vmask << shift
		return
	}
	at := 0
	if dst {
		at = 2
	}
	for i := range 2 {
		vmask := binary.LittleEndian.Uint64(vm[8*i:])
		value.Addresses[at+i] = binary.LittleEndian.Uint64(v[8*i:]) & vmask
		mask.Addresses[at+i] = vmask
	}
}

// Hash is the hash of a key under a mask.
func (m *Memory) Hash(value, mask *Key) uint64 {
	k := value.And(mask)
	return m.hash(&k, mask.wide())
}

// Coarse shortens the masks of IPv4 addresses to whole bytes.
func (k *Key) Coarse() Key {
	out := *k
	for i, w := range out.Addresses {
		var whole uint64
		for shift := 0; shift < 64; shift += 8 {
			if w>>shift&0xff == 0xff {
				whole |= 0xff << shift
			}
		}
		out.Addresses[i] = whole
	}
	return out
}
