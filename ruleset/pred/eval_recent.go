package pred

import (
	"math/bits"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// recentMax is ip_list_tot of net/netfilter/xt_recent.c: a list keeps so many
// addresses and forgets the one that was not touched for the longest time.
const recentMax = 100

type recentKey struct{ list string }

// recentList is struct recent_table; entries are in the order of the last touch.
type recentList struct {
	stampMask int // stamps kept for an address, less one
	entries   []*recentEntry
}

type recentEntry struct {
	family packet.Family
	addr   [16]byte
	ttl    uint8
	stamps []uint64
	index  int
}

// eval is recent_mt().
func (p Recent) eval(f *packet.Facts) Answer {
	l := memory(f, recentKey{p.List}, func() *recentList { return &recentList{} })
	l.stampMask = max(l.stampMask, int(RecentStamps(p.Hits, 0))-1)
	now, ttl := f.World.Jiffies, recentTTL(f)
	addr := p.addr(f)
	asked := uint8(0)
	if p.TTL {
		asked = ttl
	}
	e := l.find(f.Family, addr, asked)
	if e == nil {
		if p.Op == RecentSet {
			l.add(&recentEntry{family: f.Family, addr: addr, ttl: ttl, stamps: []uint64{now}, index: 1})
		}
		return Bool((p.Op == RecentSet) != p.Negate)
	}
	hit := !p.Negate
	switch p.Op {
	case RecentRemove:
		l.remove(e)
		return Bool(hit)
	case RecentCheck, RecentUpdate:
		hit = p.hits(e, f) != p.Negate
		if p.Reap {
			l.reap(p.since(f), e, p.Op == RecentUpdate && hit)
		}
	}
	if p.Op == RecentSet || p.Op == RecentUpdate && hit {
		l.touch(e, now)
		e.ttl = ttl
	}
	return Bool(hit)
}

// RecentStamps is how many time stamps a rule with --hitcount hits (0: without)
// wants for each address; perAddress is the parameter ip_pkt_list_tot of the module
// xt_recent, 0 when it is not set (recent_mt_check()).
func RecentStamps(hits, perAddress uint32) uint32 {
	switch {
	case perAddress != 0 && hits < perAddress:
		hits = perAddress
	case hits == 0:
		return 32
	}
	return 1 << bits.Len32(hits-1)
}

// recentTTL is the TTL before forwarding took one off.
func recentTTL(f *packet.Facts) uint8 {
	at := 8
	if f.Family == packet.IPv6 {
		at = 7
	}
	ttl := f.Raw[at]
	if f.Out.Name != "" && f.Sock == nil {
		ttl++
	}
	return ttl
}

func (p Recent) addr(f *packet.Facts) (a [16]byte) {
	from := f.Src()
	if p.Dst {
		from = f.Dst()
	}
	copy(a[:], from.AsSlice())
	for i := range a {
		a[i] &= p.Mask[i]
	}
	return a
}

// since is the tick before which stamps are too old; the seconds overflow in 32
// bits, as in recent_mt().
func (p Recent) since(f *packet.Facts) uint64 {
	return f.World.Jiffies - uint64(p.Seconds*uint32(f.World.Ticks()))
}

// hits counts the stamps that are young enough.
func (p Recent) hits(e *recentEntry, f *packet.Facts) bool {
	since := p.since(f)
	n := uint32(0)
	for _, s := range e.stamps {
		if p.Seconds != 0 && int64(s-since) < 0 {
			continue
		}
		if n++; p.Hits == 0 || n >= p.Hits {
			return true
		}
	}
	return false
}

func (l *recentList) find(family packet.Family, addr [16]byte, ttl uint8) *recentEntry {
	for _, e := range l.entries {
		if e.family == family && e.addr == addr && (ttl == e.ttl || ttl == 0 || e.ttl == 0) {
			return e
		}
	}
	return nil
}

func (l *recentList) add(e *recentEntry) {
	if len(l.entries) >= recentMax {
		l.remove(l.entries[0])
	}
	l.entries = append(l.entries, e)
}

func (l *recentList) remove(e *recentEntry) {
	for i, have := range l.entries {
		if have == e {
			l.entries = append(l.entries[:i:i], l.entries[i+1:]...)
			return
		}
	}
}

// reap drops the oldest address when its last stamp is before since, unless it is
// about to be updated (recent_entry_reap()).
func (l *recentList) reap(since uint64, working *recentEntry, update bool) {
	if len(l.entries) == 0 {
		return
	}
	e := l.entries[0]
	if e == working && update {
		return
	}
	if int64(e.stamps[e.index-1]-since) < 0 {
		l.remove(e)
	}
}

// touch adds a stamp and moves the address to the end (recent_entry_update()).
func (l *recentList) touch(e *recentEntry, now uint64) {
	e.index &= l.stampMask
	if e.index < len(e.stamps) {
		e.stamps[e.index] = now
	} else {
		e.stamps = append(e.stamps, now)
	}
	e.index++
	l.remove(e)
	l.entries = append(l.entries, e)
}
