package maps

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// meterAbout is the key of the entry that says what a table of limits is like: it outlives the
// generation whose rule has made it. Its parts are at aboutAt in the value.
var meterAbout = abi.NetfilterMeterKey{About: 1}

// about is what a table is like, in the place of a state.
type about struct {
	Avg, Burst               uint64
	Expire, Collect          uint32
	Interval                 uint32
	Parts, SrcLen, DstLen, _ uint8
}

// The bits of Parts that say what kind of limit it is.
const (
	aboutBytes = 1 << 6
	aboutRate  = 1 << 7
)

// newMeter makes a table, with room for its entries and what it is like (htable_create()).
func newMeter(spec *ebpf.MapSpec, s *plan.Set) (*ebpf.Map, error) {
	m, err := sized(spec, int(meterRoom(s.Meter.Metering))+1)
	if err != nil {
		return nil, fmt.Errorf("hashlimit table %s: %w", s.Name, err)
	}
	like := s.Meter.Metering
	a := about{
		Avg: like.Avg, Burst: like.Burst, Expire: like.Expire, Collect: like.Collect, Interval: like.Interval,
		Parts: uint8(like.Parts), SrcLen: like.SrcLen, DstLen: like.DstLen,
	}
	if like.InBytes {
		a.Parts |= aboutBytes
	}
	if like.ByRate {
		a.Parts |= aboutRate
	}
	value := make([]byte, m.ValueSize())
	_, err = binary.Encode(value[aboutAt:], binary.NativeEndian, a)
	if err == nil {
		err = m.Put(meterAbout, value)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hashlimit table %s: %w", s.Name, err), m.Close())
	}
	return m, nil
}

// aboutAt is where in an entry it is written: behind its lock, which is not copied.
const aboutAt = 8

// meterRoom is how many entries a table holds (htable_create()).
func meterRoom(like pred.Metering) uint32 {
	size := like.Size
	if size == 0 {
		size = meterBuckets()
	}
	switch {
	case like.Max == 0:
		return 8 * size
	case like.Max < size:
		return size
	}
	return like.Max
}

// meterBuckets is how many buckets the kernel gives a table that does not say.
func meterBuckets() uint32 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 8192
	}
	bytes := uint64(info.Totalram) * uint64(info.Unit)
	if bytes > 1<<30 {
		return 8192
	}
	return max(uint32(bytes/16384/8), 16)
}

// likeOf reads what a table is like.
func likeOf(m *ebpf.Map) (like pred.Metering, err error) {
	value := make([]byte, m.ValueSize())
	var a about
	if err = m.Lookup(meterAbout, &value); err == nil {
		_, err = binary.Decode(value[aboutAt:], binary.NativeEndian, &a)
	}
	return pred.Metering{
		Avg: a.Avg, Burst: a.Burst, Expire: a.Expire, Collect: a.Collect, Interval: a.Interval, SrcLen: a.SrcLen, DstLen: a.DstLen,
		Parts: pred.MeterParts(a.Parts &^ (aboutBytes | aboutRate)), InBytes: a.Parts&aboutBytes != 0, ByRate: a.Parts&aboutRate != 0,
	}, err
}

// meterConfig is what a rule asks of a table, and what the table is like.
func meterConfig(p pred.Meter, like pred.Metering, hz uint64) *abi.NetfilterMeterConfig {
	first := like.First(hz)
	perTick, perTickBytes := pred.MeterTick(hz)
	c := &abi.NetfilterMeterConfig{
		Above: bit(p.Above), InBytes: bit(p.InBytes), ByRate: bit(p.ByRate),
		Parts: uint32(like.Parts), TableBytes: bit(like.InBytes), TableRate: bit(like.ByRate),
		Expire: pred.Ticks(like.Expire, hz), Collect: pred.Ticks(like.Collect, hz), PerTick: perTick, PerTickBytes: perTickBytes,
	}
	c.First.Credit, c.First.Cap, c.First.Cost, c.First.Burst = first.Credit, first.Cap, first.Cost, first.Burst
	src, dst := like.AddrMask(pred.MeterSrc), like.AddrMask(pred.MeterDst)
	for i := range c.SrcMask {
		c.SrcMask[i] = binary.NativeEndian.Uint32(src[4*i:])
		c.DstMask[i] = binary.NativeEndian.Uint32(dst[4*i:])
	}
	return c
}

// meters makes the maps that tell the slots' limits and tables.
func (s *States) meters(specs map[string]*ebpf.MapSpec, out Set) error {
	slots := map[int]pred.Meter{}
	for _, p := range s.Args {
		if m, is := p.(pred.Meter); is {
			slots[m.Slot] = m
		}
	}
	if len(slots) == 0 {
		return nil
	}
	for _, name := range []string{abi.NetfilterMapMeterConfigs, abi.NetfilterMapMeterTables} {
		m, err := sized(specs[name], size(slots))
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		out[name] = m
	}
	for slot, p := range slots {
		table := s.Named[MeterPin(s.Family, p.Table)]
		like, err := likeOf(table)
		if err == nil && like.ByRate != p.ByRate {
			err = fmt.Errorf("a rule with --hashlimit-rate-match and one without ask it; give one of them another name")
		}
		if err == nil {
			err = out[abi.NetfilterMapMeterTables].Put(uint32(slot), table)
		}
		if err == nil {
			err = out[abi.NetfilterMapMeterConfigs].Put(uint32(slot), meterConfig(p, like, uint64(s.HZ)))
		}
		if err != nil {
			return fmt.Errorf("hashlimit table %s: %w", p.Table, err)
		}
	}
	return nil
}
