package match

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// recentRoom is ip_list_tot of net/netfilter/xt_recent.c.
const recentRoom = 100

// recentListKey is the identity of a list in a packet.World.
type recentListKey string

// recentTable is struct recent_table. The last entry is the one touched last.
type recentTable struct {
	mask    [16]byte
	stamps  int // kept for each address; a power of two
	entries []*recentSeen
}

// recentSeen is struct recent_entry.
type recentSeen struct {
	family packet.Family
	addr   [16]byte
	ttl    uint8
	index  int
	stamps []uint64
}

// Load is what recent_mt_check() does to the list of a rule: it makes the list with
// the mask of the rule, or empties it when the rule wants more time stamps. Eval
// does it for rules that were not loaded.
func (m *recent) Load(w *packet.World) { m.table(w) }

func (m *recent) table(w *packet.World) *recentTable {
	want := int(pred.RecentStamps(m.hits, 0))
	t := remembered(w, recentListKey(m.name), func() *recentTable {
		return &recentTable{mask: m.maskBits(), stamps: want}
	})
	if want > t.stamps {
		t.stamps, t.entries = want, nil
	}
	return t
}

// Eval is recent_mt().
func (m *recent) Eval(f *packet.Facts) pred.Answer {
	t := m.table(f.World)
	addr, ttl := m.subject(f, t.mask)
	e := t.find(f.Family, addr, ttl, m.given["rttl"])
	now := f.World.Jiffies
	switch {
	case e == nil && m.op == pred.RecentSet:
		t.add(&recentSeen{f.Family, addr, ttl, 1, []uint64{now}})
		return answer(true, m.negate)
	case e == nil:
		return answer(false, m.negate)
	case m.op == pred.RecentSet:
		t.touch(e, now, ttl)
		return answer(true, m.negate)
	case m.op == pred.RecentRemove:
		t.remove(e)
		return answer(true, m.negate)
	}
	return pred.Bool(m.check(f, t, e, ttl))
}

// check answers --rcheck and --update for an address that is in the list. It is the
// answer after the negation that decides about the update.
func (m *recent) check(f *packet.Facts, t *recentTable, e *recentSeen, ttl uint8) bool {
	now := f.World.Jiffies
	oldest := now - uint64(m.seconds*uint32(f.World.Ticks())) // overflows as in the kernel
	young := uint32(0)
	for _, s := range e.stamps {
		if m.seconds == 0 || int64(s-oldest) >= 0 {
			young++
		}
	}
	yes := (young > 0 && young >= m.hits) != m.negate
	update := m.op == pred.RecentUpdate && yes
	if m.given["reap"] {
		t.reap(oldest, e, update)
	}
	if update {
		t.touch(e, now, ttl)
	}
	return yes
}

// subject is the masked address and the TTL that the packet came with: on its way
// out of a forwarding host one was taken off.
func (m *recent) subject(f *packet.Facts, mask [16]byte) (addr [16]byte, ttl uint8) {
	a := f.Src()
	if m.dst {
		a = f.Dst()
	}
	addr = bytes16(a)
	for i := range addr {
		addr[i] &= mask[i]
	}
	at := 8
	if f.Family == packet.IPv6 {
		at = 7
	}
	ttl = f.Raw[at]
	if f.Out.Name != "" && f.Sock == nil {
		ttl++
	}
	return addr, ttl
}

func (t *recentTable) find(family packet.Family, addr [16]byte, ttl uint8, sameTTL bool) *recentSeen {
	for _, e := range t.entries {
		if e.family == family && e.addr == addr && (!sameTTL || ttl == e.ttl || ttl == 0 || e.ttl == 0) {
			return e
		}
	}
	return nil
}

func (t *recentTable) add(e *recentSeen) {
	if len(t.entries) >= recentRoom {
		t.remove(t.entries[0])
	}
	t.entries = append(t.entries, e)
}

func (t *recentTable) remove(e *recentSeen) {
	for i, have := range t.entries {
		if have == e {
			t.entries = append(t.entries[:i:i], t.entries[i+1:]...)
			return
		}
	}
}

// touch is recent_entry_update(): time stamps are a ring.
func (t *recentTable) touch(e *recentSeen, now uint64, ttl uint8) {
	e.index &= t.stamps - 1
	if e.index == len(e.stamps) {
		e.stamps = append(e.stamps, 0)
	}
	e.stamps[e.index] = now
	e.index++
	e.ttl = ttl
	t.remove(e)
	t.entries = append(t.entries, e)
}

// reap is recent_entry_reap(): the address not touched for the longest goes, if it
// is too old and not about to be updated.
func (t *recentTable) reap(oldest uint64, working *recentSeen, update bool) {
	e := t.entries[0]
	if e == working && update {
		return
	}
	if int64(e.stamps[e.index-1]-oldest) < 0 {
		t.remove(e)
	}
}
