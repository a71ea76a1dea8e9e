package maps

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

// The beginnings of the names of pins of named sets.
const (
	keysPrefix   = "set-"
	stampsPrefix = "recent-"
	meterPrefix  = "meter"
)

// longestName is how many bytes of a set's name a pin has room for, NAME_MAX being 255.
const longestName = 100

// SetPin is the name of a named set's pin.
func SetPin(set string) string { return pinName(keysPrefix, set) }

// ListPin is the same for a set of addresses with the times at which they were seen.
func ListPin(list string) string { return pinName(stampsPrefix, list) }

// MeterPin is the same for a table of limits of a family.
func MeterPin(family packet.Family, table string) string {
	return pinName(meterPrefix+family.String()+"-", table)
}

// PinOf is the name of the pin of a set.
func PinOf(s *plan.Set) string {
	if s.Stamps != nil {
		return ListPin(s.Name)
	}
	if s.Meter != nil {
		return MeterPin(s.Meter.Family, s.Name)
	}
	return SetPin(s.Name)
}

// NewSet makes a set.
func NewSet(specs map[string]*ebpf.MapSpec, s *plan.Set) (*ebpf.Map, error) {
	if s.Stamps != nil {
		return NewStamps(specs[abi.NetfilterMapRecentList], s)
	}
	if s.Meter != nil {
		return newMeter(specs[abi.NetfilterMapMeterTable], s)
	}
	return newKeySet(specs, s)
}

// pinName spells a name in letters that a bpffs allows.
func pinName(prefix, name string) string {
	if len(name) > longestName {
		return fmt.Sprintf("%s%x-%x", prefix, name[:longestName/2], sha256.Sum256([]byte(name)))
	}
	return fmt.Sprintf("%s%x", prefix, name)
}

// IsSetPin says whether a pin is that of a named set.
func IsSetPin(pin string) bool {
	return strings.HasPrefix(pin, keysPrefix) || strings.HasPrefix(pin, stampsPrefix) || strings.HasPrefix(pin, meterPrefix)
}

// shortKey is how many bytes the key of a short set has.
const shortKey = len(abi.NetfilterShortKey{}.Word) * 4

// longKey is the same for all others.
const longKey = len(abi.NetfilterLongKey{}.Word) * 4

// KeySet is a named set of keys.
type KeySet struct {
	m      *ebpf.Map
	keyLen int
}

// newKeySet makes a set with its elements.
func newKeySet(specs map[string]*ebpf.MapSpec, set *plan.Set) (*ebpf.Map, error) {
	name := abi.NetfilterMapLongSet
	if set.KeyLen <= shortKey {
		name = abi.NetfilterMapShortSet
	}
	m, err := sized(specs[name], set.Room)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", set.Name, err)
	}
	s := KeySet{m, set.KeyLen}
	for _, e := range set.Elements {
		if err := s.Add(e.Key, e.Timeout); err != nil {
			return nil, errors.Join(fmt.Errorf("set %s: %w", set.Name, err), m.Close())
		}
	}
	return m, nil
}

// OpenKeySet is the set in a map, whose keys have so many bytes.
func OpenKeySet(m *ebpf.Map, keyLen int) (*KeySet, error) {
	want := longKey
	if keyLen <= shortKey {
		want = shortKey
	}
	if m.Type() != ebpf.Hash || int(m.KeySize()) != want {
		return nil, fmt.Errorf("it has keys of up to %d bytes, not of %d", m.KeySize(), keyLen)
	}
	return &KeySet{m, keyLen}, nil
}

// SameSet says whether a map holds a set of the same type and size.
func SameSet(m *ebpf.Map, set *plan.Set) error {
	if set.Stamps != nil || set.Meter != nil {
		return nil // those of one name are one, and grow
	}
	if _, err := OpenKeySet(m, set.KeyLen); err != nil {
		return fmt.Errorf("set %s is there with another type: %w; remove it first, or give another name", set.Name, err)
	}
	if int(m.MaxEntries()) != set.Room {
		return fmt.Errorf("set %s is there with another size: it has room for %d elements, not for %d; remove it first, or give another name", set.Name, m.MaxEntries(), set.Room)
	}
	return nil
}

// padded is a key as the map has it.
func (s *KeySet) padded(key []byte) ([]byte, error) {
	if len(key) != s.keyLen {
		return nil, fmt.Errorf("an element has %d bytes, not %d", len(key), s.keyLen)
	}
	return append(append([]byte{}, key...), make([]byte, int(s.m.KeySize())-len(key))...), nil
}

// Add adds an element, or gives one that is there a new timeout; 0: it stays.
func (s *KeySet) Add(key []byte, timeout time.Duration) error {
	full, err := s.padded(key)
	if err != nil {
		return err
	}
	value := abi.NetfilterSetValue{}
	if timeout > 0 {
		value.Expires = now() + uint64(timeout)
	}
	return s.m.Put(full, value)
}

// Delete removes an element; one that is not there is no failure.
func (s *KeySet) Delete(key []byte) error {
	full, err := s.padded(key)
	if err != nil {
		return err
	}
	if err := s.m.Delete(full); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// Close gives the map back; the set stays.
func (s *KeySet) Close() error { return s.m.Close() }

// Elements are what is in the set, with the time that each has left.
func (s *KeySet) Elements() (out []plan.Element, err error) {
	key, value, at := make([]byte, s.m.KeySize()), abi.NetfilterSetValue{}, now()
	each := s.m.Iterate()
	for each.Next(&key, &value) {
		e := plan.Element{Key: append([]byte{}, key[:s.keyLen]...)}
		if value.Expires != 0 {
			if e.Timeout = time.Duration(int64(value.Expires - at)); e.Timeout <= 0 {
				continue
			}
		}
		out = append(out, e)
	}
	return out, each.Err()
}

// Sweep takes out elements whose time has come: they are in nobody's way but need room. It
// gives how many.
func Sweep(m *ebpf.Map) (n int, err error) {
	key, value, at := make([]byte, m.KeySize()), abi.NetfilterSetValue{}, now()
	var gone [][]byte
	each := m.Iterate()
	for each.Next(&key, &value) {
		if value.Expires != 0 && int64(value.Expires-at) <= 0 {
			gone = append(gone, append([]byte{}, key...))
		}
	}
	for _, k := range gone {
		switch err := m.LookupAndDelete(k, &value); {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			continue
		case err != nil:
			return n, err
		}
		n++
		if value.Expires != 0 && int64(value.Expires-at) <= 0 {
			continue
		}
		// A packet has renewed it: it is as if that packet came a little later.
		if err := m.Update(k, value, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return n, err
		}
	}
	return n, each.Err()
}

// now is the clock of bpf_ktime_get_ns().
func now() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("maps: the monotonic clock: %v", err))
	}
	return uint64(t.Nano())
}

// setUses makes the maps that tell the slots' questions and sets.
func (s *States) setUses(specs map[string]*ebpf.MapSpec, out Set) error {
	if len(s.SetUses) == 0 {
		return nil
	}
	n := size(s.SetUses)
	for _, name := range []string{abi.NetfilterMapSetUses, abi.NetfilterMapShortSets, abi.NetfilterMapLongSets} {
		m, err := sized(specs[name], n)
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		out[name] = m
	}
	for slot, use := range s.SetUses {
		sets := out[abi.NetfilterMapLongSets]
		if int(use.Words)*4 <= shortKey {
			sets = out[abi.NetfilterMapShortSets]
		}
		if err := sets.Put(uint32(slot), s.Named[SetPin(use.Set)]); err != nil {
			return fmt.Errorf("set %s: %w", use.Set, err)
		}
		if err := out[abi.NetfilterMapSetUses].Put(uint32(slot), use.NetfilterSetUse); err != nil {
			return fmt.Errorf("set %s: %w", use.Set, err)
		}
	}
	return nil
}
