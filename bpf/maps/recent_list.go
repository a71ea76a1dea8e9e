package maps

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
)

// List is a list of -m recent in the kernel.
type List struct{ m *ebpf.Map }

// Seen is an address in a list, with the times at which it was seen, in the kernel's jiffies.
type Seen struct {
	Addr   netip.Addr
	TTL    uint8
	Stamps []uint64
	Last   int    // which of them is the last one
	Index  uint32 // where the next one comes
}

// OpenList is the list in a map.
func OpenList(m *ebpf.Map) (*List, error) {
	if want := uint32(binary.Size(recentList{})); m.Type() != ebpf.Array || m.ValueSize() != want {
		return nil, fmt.Errorf("it is of another version: %s with values of %d bytes, not of %d", m.Type(), m.ValueSize(), want)
	}
	return &List{m}, nil
}

// Close closes it.
func (l *List) Close() error { return l.m.Close() }

// Entries are the addresses in it, the one that was seen last as the last one.
func (l *List) Entries() ([]Seen, error) {
	list := new(recentList)
	if err := l.m.LookupWithFlags(uint32(0), list, ebpf.LookupLock); err != nil {
		return nil, err
	}
	used := make([]int, 0, recentTotal)
	for i := range recentTotal {
		if list.Entries[i].Touched != 0 {
			used = append(used, i)
		}
	}
	slices.SortFunc(used, func(a, b int) int { return cmp.Compare(list.Entries[a].Touched, list.Entries[b].Touched) })
	var out []Seen
	for _, i := range used {
		e := &list.Entries[i]
		stamps := list.Stamps[i*recentStamps : (i+1)*recentStamps]
		out = append(out, Seen{
			Addr: address(e.Family, e.Addr), TTL: e.Ttl, Index: e.Index,
			Stamps: slices.Clone(stamps[:min(int(e.Nstamps), recentStamps)]),
			Last:   int((e.Index - 1) & list.StampMask),
		})
	}
	return out, nil
}

// address is one as lists have them.
func address(family uint8, words [4]uint32) netip.Addr {
	var b [16]byte
	for i, w := range words {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	if family == 4 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// Add puts an address into it, or notes that it was seen now.
func (l *List) Add(a netip.Addr) error { return l.edit(abi.RecentRecentEditsEDIT_ADD, a) }

// Remove takes an address out.
func (l *List) Remove(a netip.Addr) error { return l.edit(abi.RecentRecentEditsEDIT_REMOVE, a) }

// Flush empties it.
func (l *List) Flush() error { return l.edit(abi.RecentRecentEditsEDIT_FLUSH, netip.IPv4Unspecified()) }

// edit runs the program that changes a list: bpf/recent.bpf.c.
func (l *List) edit(what abi.RecentRecentEdits, a netip.Addr) error {
	spec, err := abi.LoadRecent()
	if err != nil {
		return err
	}
	family, words := uint32(6), a.As16()
	if a.Is4() {
		four := a.As4()
		family, words = 4, [16]byte{}
		copy(words[:], four[:])
	}
	for name, value := range map[string]any{abi.RecentVarEdit: uint32(what), abi.RecentVarFamily: family, abi.RecentVarAddress: words} {
		if err := spec.Variables[name].Set(value); err != nil {
			return err
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{abi.RecentMapRecentList: l.m}})
	if err != nil {
		return err
	}
	defer coll.Close()
	done, err := coll.Programs[abi.RecentProgRecentWrite].Run(&ebpf.RunOptions{Data: make([]byte, smallestFrame)})
	if err == nil && done != 1 {
		err = errors.New("the list cannot be read")
	}
	return err
}

// smallestFrame is what bpf_prog_test_run_skb() takes at least.
const smallestFrame = 14

// ListOf is the name of the list that a pin is of; false: it is none, or its name was too long for a pin.
func ListOf(pin string) (string, bool) {
	text, ok := strings.CutPrefix(pin, stampsPrefix)
	if !ok {
		return "", false
	}
	name, err := hex.DecodeString(text)
	return string(name), err == nil
}
