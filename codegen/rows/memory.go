package rows

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Words of the header that are ours.
const (
	ownLayout    = abi.HeaderOwn + iota // layout() of the program that made the generation
	ownIndexUsed                        // words of the index that are taken
	ownRowsUsed                         // rows that were ever taken, row 0 included
	ownBuilt                            // how many words were taken when the generation was made
	ownFree                             // first row that can be taken again, linked by RowArg: with a counter slot
	ownBare                             // and without one
	ownUnlinked                         // first row that only packets on their way can still meet
	ownDead                             // how many rows are dead and linked
	ownDirty                            // an edit has begun and has not ended
	ownIDs                              // counter slots that were ever taken
	ownIDsMax                           // and how many there are
	ownNeeds                            // what the datapath fills of the facts (abi.Need*)
	ownOps                              // instructions that programs may have
	ownKeys                             // HashKeys: a pair of words each
	ownFreed     = ownKeys + 8          // places of words that can be taken again, see wordClasses
)

// FirstVersion is the version of a new image; the datapath reads 0 as "not known".
const FirstVersion = 1

// ownVersion changes with the words above and with what this package writes elsewhere.
const ownVersion = 1

// layout identifies what is where in a memory. Every change of the datapath changes it,
// rather than only those of the layout.
var layout = sync.OnceValue(func() uint32 {
	sum := abi.NetfilterSum()
	return binary.LittleEndian.Uint32(sum[:]) + ownVersion
})

// Current says whether this program knows what is where: not if another version has made
// the generation.
func (m *Memory) Current() bool { return m.Index[ownLayout] == layout() }

// forever is the death of a row that lives.
const forever = ^uint32(0)

// Memory is the two maps of a generation's classified chains: the copy that is being
// built, or the maps themselves.
type Memory struct {
	Family packet.Family
	Rows   []uint32
	Index  []uint32
	Keys   HashKeys
}

// HashKeys are the multipliers of the hash; all are odd.
type HashKeys [4]uint64

// Open gives the memory of a generation from its maps.
func Open(family packet.Family, rows, index []uint32) *Memory {
	m := &Memory{Family: family, Rows: rows, Index: index}
	for i := range m.Keys {
		at := index[int(ownKeys)+2*i:]
		m.Keys[i] = uint64(at[0]) | uint64(at[1])<<32
	}
	return m
}

// rowSize is the length of a row in words.
func (m *Memory) rowSize() uint32 {
	if m.Family == packet.IPv6 {
		return abi.RowSize6
	}
	return abi.RowSize4
}

// row gives the words of a row.
func (m *Memory) row(n uint32) []uint32 {
	size := m.rowSize()
	return m.Rows[n*size : (n+1)*size : (n+1)*size]
}

// Version is the version that packets see.
func (m *Memory) Version() uint32 { return atomic.LoadUint32(&m.Index[abi.HeaderVersion]) }

// Publish makes a version the one that packets see from now on.
func (m *Memory) Publish(version uint32) { atomic.StoreUint32(&m.Index[abi.HeaderVersion], version) }

// chain gives the descriptor of a chain.
func (m *Memory) chain(number int) []uint32 {
	at := abi.HeaderSize + uint32(number)*abi.ChainSize
	return m.Index[at : at+abi.ChainSize : at+abi.ChainSize]
}

// store writes a word that packets may be reading.
func store(word *uint32, v uint32) { atomic.StoreUint32(word, v) }

// The words of a key: addresses (one for IPv4, four for IPv6), then these.
const (
	transportWord = iota
	namesWord
	marksWord
	otherWords
)

// key is a packet's key or a mask of it. IPv4 uses the first address word only.
type key struct {
	addresses [4]uint64
	other     [otherWords]uint64
}

func (k *key) and(o *key) key {
	var out key
	for i := range k.addresses {
		out.addresses[i] = k.addresses[i] & o.addresses[i]
	}
	for i := range k.other {
		out.other[i] = k.other[i] & o.other[i]
	}
	return out
}

// within says whether all bits of a mask are among those of another.
func (k *key) within(o *key) bool { return k.and(o) == *k }

func (k *key) ones() int {
	n := 0
	for _, w := range k.addresses {
		n += bits.OnesCount64(w)
	}
	for _, w := range k.other {
		n += bits.OnesCount64(w)
	}
	return n
}

// wide says whether a mask has bits beyond addresses, ports and protocol.
func (k *key) wide() bool { return k.other[namesWord]|k.other[marksWord] != 0 }

// hash is tuple_hash of bpf/lookup/search.h on a masked key.
func (m *Memory) hash(k *key, wide bool) uint64 {
	h := k.addresses[0] * m.Keys[0]
	if m.Family == packet.IPv6 {
		h ^= k.addresses[1] * m.Keys[1]
		h = (h ^ h>>32) * m.Keys[3]
		h ^= k.addresses[2] * m.Keys[0]
		h ^= k.addresses[3] * m.Keys[1]
		h = (h ^ h>>32) * m.Keys[3]
	}
	h ^= k.other[transportWord] * m.Keys[2]
	if wide {
		h = (h ^ h>>32) * m.Keys[3]
		h ^= k.other[namesWord] * m.Keys[0]
		h ^= k.other[marksWord] * m.Keys[1]
	}
	return (h ^ h>>32) * m.Keys[3]
}

// nameHash is name_hash of bpf/lookup/search.h.
func (m *Memory) nameHash(name *[16]byte) uint64 {
	a, b := binary.LittleEndian.Uint64(name[:]), binary.LittleEndian.Uint64(name[8:])
	return (a*m.Keys[0] ^ b*m.Keys[1]) >> 32
}

// fixed gives the bits of the key that the conditions of a row fix, and their values.
func (m *Memory) fixed(r *row) (value, mask key) {
	if r.flags&abi.NotSrc == 0 {
		m.fixAddress(&value, &mask, r.src, r.srcMask, false)
	}
	if r.flags&abi.NotDst == 0 {
		m.fixAddress(&value, &mask, r.dst, r.dstMask, true)
	}
	t, tm := &value.other[transportWord], &mask.other[transportWord]
	if r.sport.lo == r.sport.hi && r.flags&abi.NotSPort == 0 {
		*t |= uint64(bits.ReverseBytes16(r.sport.lo))
		*tm |= 0xffff
	}
	if r.dport.lo == r.dport.hi && r.flags&abi.NotDPort == 0 {
		*t |= uint64(bits.ReverseBytes16(r.dport.lo)) << 16
		*tm |= 0xffff << 16
	}
	if r.flags&abi.HasProto != 0 && r.flags&abi.NotProto == 0 {
		*t |= uint64(r.proto) << 32
		*tm |= 0xff << 32
	}
	if r.in != nil {
		value.other[namesWord] |= m.nameHash(r.in)
		mask.other[namesWord] |= 0xffffffff
	}
	if r.out != nil {
		value.other[namesWord] |= m.nameHash(r.out) << 32
		mask.other[namesWord] |= 0xffffffff << 32
	}
	if r.mark != nil {
		value.other[marksWord] = uint64(*r.mark)
		mask.other[marksWord] = 0xffffffff
	}
	return value, mask
}

func (m *Memory) fixAddress(value, mask *key, v, vm [16]byte, dst bool) {
	if m.Family == packet.IPv4 {
		shift := 0
		if dst {
			shift = 32
		}
		vmask := uint64(binary.LittleEndian.Uint32(vm[:]))
		value.addresses[0] |= (uint64(binary.LittleEndian.Uint32(v[:])) & vmask) << shift
		mask.addresses[0] |= vmask << shift
		return
	}
	at := 0
	if dst {
		at = 2
	}
	for i := range 2 {
		vmask := binary.LittleEndian.Uint64(vm[8*i:])
		value.addresses[at+i] = binary.LittleEndian.Uint64(v[8*i:]) & vmask
		mask.addresses[at+i] = vmask
	}
}

// plain is the flag of a row that asks for what most rows ask for. An empty mask with flags
// to be set (--tcp-flags NONE SYN) never matches.
func (r *row) plain() uint32 {
	const not = abi.NotSrc | abi.NotDst | abi.NotProto | abi.NotSPort | abi.NotDPort | abi.NotTCPFlags | abi.NotState
	return bit(r.flags&not == 0 && r.states == 0 && r.tcpMask|r.tcpValue == 0, 0) * abi.Plain
}

// write puts a row into its place; links and label are the caller's.
func (m *Memory) write(n, label, born uint32, r *row, program, arg uint32) {
	w := m.row(n)
	w[abi.RowLabel], w[abi.RowBorn], w[abi.RowDead] = label, born, forever
	w[abi.RowID] = r.id
	w[abi.RowAction] = r.action | (r.flags|r.plain())<<4 | r.states<<20
	w[abi.RowArg] = arg
	w[abi.RowProgram] = program
	w[abi.RowSPort], w[abi.RowDPort] = r.sport.word(), r.dport.word()
	w[abi.RowProto] = uint32(r.proto) | uint32(r.tcpMask)<<8 | uint32(r.tcpValue)<<16 | uint32(r.need)<<24
	w[abi.RowOrder], w[abi.RowNext] = 0, 0
	at := w[abi.RowSrc:]
	size := m.Family.Bits() / 8
	for _, part := range [][]byte{r.src[:size], r.srcMask[:size], r.dst[:size], r.dstMask[:size]} {
		for i := 0; i < size; i += 4 {
			at[0] = binary.LittleEndian.Uint32(part[i:])
			at = at[1:]
		}
	}
}
