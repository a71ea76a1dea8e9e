package pred

import (
	"math"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// meterTable is struct xt_hashlimit_htable.
type meterTable struct {
	like    Metering
	entries map[meterKey]*meterEntry
}

type meterKey struct {
	src, dst     [16]byte
	sport, dport uint16
}

// meterEntry is struct dsthash_ent. With ByRate, Credit is the interval, Cap what was counted in
// it, Cost the rate.
type meterEntry struct {
	MeterState
	expires, prev uint64
	over          bool // the last interval was above the rate
}

type meterName struct {
	family packet.Family
	table  string
}

// eval is hashlimit_mt_common(). Old entries go with the clock's multiples of Collect.
func (p Meter) eval(f *packet.Facts) Answer {
	now, hz := f.World.Jiffies, f.World.Ticks()
	t := memory(f, meterName{f.Family, p.Table}, func() *meterTable {
		return &meterTable{p.Metering, map[meterKey]*meterEntry{}}
	})
	key, ok := t.like.key(f)
	if !ok {
		return Hotdrop
	}
	for k, e := range t.entries {
		if t.like.gone(e, now, hz) {
			delete(t.entries, k)
		}
	}
	e := t.entries[key]
	if e != nil {
		t.like.recalc(e, now, hz)
	} else {
		if t.like.Max != 0 && len(t.entries) >= int(max(t.like.Max, t.like.Size)) {
			return Hotdrop
		}
		e = &meterEntry{MeterState: t.like.First(hz), prev: now}
		t.entries[key] = e
	}
	e.expires = now + Ticks(t.like.Expire, hz)
	return Bool(p.within(e, f.Len, hz) != p.Above)
}

// key is hashlimit_init_dst().
func (m Metering) key(f *packet.Facts) (k meterKey, ok bool) {
	src, dst := m.AddrMask(MeterSrc), m.AddrMask(MeterDst)
	for i, b := range f.Src().AsSlice() {
		k.src[i] = b & src[i]
	}
	for i, b := range f.Dst().AsSlice() {
		k.dst[i] = b & dst[i]
	}
	if m.Parts&(MeterSrcPort|MeterDstPort) == 0 {
		return k, true
	}
	proto, at, ok := skipExt(f)
	if !ok {
		return k, false
	}
	switch proto {
	case 6, 17, 33, 50, 132, 136:
	case 51:
		at += 4
	default:
		return k, true
	}
	ports, ok := f.Bytes(at, 4)
	if ok && m.Parts&MeterSrcPort != 0 {
		k.sport = uint16(ports[0])<<8 | uint16(ports[1])
	}
	if ok && m.Parts&MeterDstPort != 0 {
		k.dport = uint16(ports[2])<<8 | uint16(ports[3])
	}
	return k, ok
}

// skipExt is ipv6_skip_exthdr() (net/ipv6/exthdrs_core.c), and for IPv4 where the header ends.
func skipExt(f *packet.Facts) (proto uint8, at int, ok bool) {
	if f.Family == packet.IPv4 {
		return f.Proto, int(f.THOff), true
	}
	for proto, at = f.Raw[6], 40; ; {
		switch proto {
		case 0, 43, 44, 51, 60:
		case 59:
			return 0, 0, false
		default:
			return proto, at, true
		}
		h, ok := f.Bytes(at, 2)
		if !ok {
			return 0, 0, false
		}
		size := (int(h[1]) + 1) * 8
		switch proto {
		case 51:
			size = (int(h[1]) + 2) * 4
		case 44:
			frag, ok := f.Bytes(at, 4)
			if !ok || (frag[2] != 0 || frag[3]&^7 != 0) {
				return proto, at, ok
			}
			size = 8
		}
		proto, at = h[0], at+size
	}
}

// gone says whether an entry was collected.
func (m Metering) gone(e *meterEntry, now, hz uint64) bool {
	turn := Ticks(m.Collect, hz)
	return now >= e.expires && now >= (e.expires+turn-1)/turn*turn
}

// recalc is rateinfo_recalc().
func (m Metering) recalc(e *meterEntry, now, hz uint64) {
	delta := now - e.prev
	if delta == 0 {
		return
	}
	if m.ByRate {
		if interval := e.Credit * hz; delta >= interval {
			e.prev, e.over, e.Cap = now, e.Cap*interval > delta*e.Cost, 0
		}
		return
	}
	e.prev = now
	perTick, perTickBytes := MeterTick(hz)
	if !m.InBytes {
		e.Credit = min(e.Credit+delta*perTick, e.Cap)
		return
	}
	before, most := e.Credit, perTickBytes*hz
	if e.Credit += perTickBytes * delta; before >= e.Credit {
		e.Credit = most
	}
	e.Credit = min(e.Credit, most)
}

// within takes the cost of a packet.
func (p Meter) within(e *meterEntry, length uint32, hz uint64) bool {
	if p.ByRate {
		n := uint64(1)
		if p.InBytes {
			n = uint64(length)
		}
		e.Cap += n
		return !e.over && e.Cap <= uint64(e.Burst)
	}
	cost := e.Cost
	if p.InBytes { // hashlimit_byte_cost()
		_, perTickBytes := MeterTick(hz)
		most := perTickBytes * hz
		cost = min((uint64(length)>>meterChunkShift+1)*e.Cost, most)
		if e.Credit < cost && e.Cap != 0 {
			e.Cap--
			e.Credit = most
		}
		cost &= math.MaxUint32
	}
	if e.Credit < cost {
		return false
	}
	e.Credit -= cost
	return true
}
