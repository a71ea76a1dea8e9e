package pred

import (
	"fmt"
	"math"
	"math/bits"
)

// MeterParts are what of a packet is counted apart, as bits (XT_HASHLIMIT_HASH_* of
// include/uapi/linux/netfilter/xt_hashlimit.h).
type MeterParts uint8

// The parts.
const (
	MeterDst MeterParts = 1 << iota
	MeterDstPort
	MeterSrc
	MeterSrcPort
)

// Metering is what a table of limits is like: struct hashlimit_cfg3 without what only concerns the
// rule.
type Metering struct {
	Parts          MeterParts
	SrcLen, DstLen uint8 // how many bits of the addresses count
	InBytes        bool  // the limit is about bytes, not packets
	ByRate         bool  // it is a rate that is measured, not a credit that is used up
	Avg, Burst     uint64
	Size, Max      uint32 // buckets and entries; 0: the kernel chooses
	Collect        uint32 // milliseconds between two collections of old entries
	Expire         uint32 // milliseconds after which an entry that is not used is old
	Interval       uint32 // seconds over which a rate is measured
}

// Meter asks whether a packet is within the limit of its key, and counts it
// (hashlimit_mt_common(), net/netfilter/xt_hashlimit.c). A table is one for all rules of the family
// in the namespace that name it, and is like the first of them says.
type Meter struct {
	Table string
	Above bool // yes for those that are not
	Metering
	Slot int
}

func (Meter) isPred() {}

func (p Meter) String() string {
	return fmt.Sprintf("meter(%s, above=%t, %+v)", p.Table, p.Above, p.Metering)
}

// MeterState is what a table has for a key: a credit, or a rate (struct dsthash_ent has both in the
// same place).
type MeterState struct {
	Credit, Cap, Cost uint64
	Burst             int64
}

// Numbers of net/netfilter/xt_hashlimit.c.
const (
	meterScale      = 1000000 // XT_HASHLIMIT_SCALE_v2
	meterChunkShift = 4       // XT_HASHLIMIT_BYTE_SHIFT
)

// MeterTick is CREDITS_PER_JIFFY, and that for bytes, of a kernel with hz ticks per second.
func MeterTick(hz uint64) (packets, inBytes uint64) {
	floor := func(most uint64) uint64 { return 1 << (bits.Len64(most) - 1) }
	return floor(math.MaxUint64 / (hz * 60 * 60 * 24)), floor(math.MaxUint32 / hz)
}

// First is what an entry begins with (rateinfo_init()).
func (m Metering) First(hz uint64) (s MeterState) {
	perTick, perTickBytes := MeterTick(hz)
	credits := func(user uint64) uint64 { // user2credits()
		if hz*perTick <= meterScale {
			return user / (meterScale / (hz * perTick))
		}
		return user * (hz * perTick / meterScale)
	}
	switch {
	case m.ByRate && m.InBytes:
		rate := uint64(math.MaxUint32)
		if uint32(m.Avg) != 0 {
			rate /= uint64(uint32(m.Avg))
		}
		rate = (rate - 1) << meterChunkShift
		s = MeterState{Credit: uint64(m.Interval), Cost: rate, Burst: int64(rate)}
		if m.Burst != 0 {
			s.Burst = int64(m.Burst * rate)
		}
	case m.ByRate:
		rate := uint64(0)
		if m.Avg != 0 {
			rate = meterScale / m.Avg
		}
		s = MeterState{Credit: uint64(m.Interval), Cost: rate, Burst: int64(m.Burst + rate)}
	case m.InBytes:
		s = MeterState{Credit: perTickBytes * hz, Cap: m.Burst, Cost: uint64(uint32(m.Avg)) * (perTickBytes * hz) >> 32}
	default:
		s = MeterState{Credit: credits(m.Avg * m.Burst), Cost: credits(m.Avg)}
		s.Cap = s.Credit
	}
	return s
}

// Ticks is how many ticks milliseconds take (msecs_to_jiffies(), kernel/time/time.c).
func Ticks(milliseconds uint32, hz uint64) uint64 {
	if int32(milliseconds) < 0 {
		return math.MaxInt64>>1 - 1
	}
	return (uint64(milliseconds)*hz + 999) / 1000
}

// AddrMask is a prefix of a family's addresses as a mask.
func (m Metering) AddrMask(of MeterParts) (mask [16]byte) {
	n := m.SrcLen
	if of == MeterDst {
		n = m.DstLen
	}
	for i := uint8(0); i < n && m.Parts&of != 0; i++ {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}
