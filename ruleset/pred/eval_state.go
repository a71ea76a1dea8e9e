package pred

import (
	"math/bits"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// CreditsPerTick is CREDITS_PER_JIFFY of net/netfilter/xt_limit.c: the largest
// power of two that does not overflow 32 bits in a day's ticks.
func CreditsPerTick(hz uint64) uint32 {
	perDay := uint32(0xffffffff / (hz * 60 * 60 * 24))
	if perDay == 0 {
		return 1
	}
	return 1 << (bits.Len32(perDay) - 1)
}

// limitScale is XT_LIMIT_SCALE: avg counts in parts of so many to the second.
const limitScale = 10000

// LimitCredits turns what a rule says into credits, for a kernel with hz ticks per
// second: a packet costs cost, the bucket starts with and holds at most limit. All
// of it overflows in 32 bits as limit_mt_check() does; ok is false where that
// refuses the rule.
func LimitCredits(avg, burst uint32, hz uint64) (cost, limit uint32, ok bool) {
	perSecond := uint32(hz) * CreditsPerTick(hz)
	credits := func(user uint32) uint32 { // user2credits()
		if user > 0xffffffff/perSecond {
			return user / limitScale * perSecond
		}
		return user * perSecond / limitScale
	}
	cost, limit = credits(avg), credits(avg*burst)
	return cost, limit, burst != 0 && limit >= cost
}

type bucket struct {
	last   uint64
	credit uint32
}

// eval is limit_mt(); a bucket starts full.
func (p Limit) eval(f *packet.Facts) Answer {
	now := f.World.Jiffies
	if p.Avg != 0 {
		p.Cost, p.Cap, _ = LimitCredits(p.Avg, p.Burst, f.World.Ticks())
	}
	b := memory(f, p.Key, func() *bucket { return &bucket{last: now, credit: p.Cap} })
	b.credit += uint32(now-b.last) * CreditsPerTick(f.World.Ticks())
	b.last = now
	b.credit = min(b.credit, p.Cap)
	if b.credit < p.Cost {
		return No
	}
	b.credit -= p.Cost
	return Yes
}

// eval is quota_mt().
func (p Quota) eval(f *packet.Facts) Answer {
	used := memory(f, p.Key, func() *uint64 { return new(uint64) })
	if p.Bytes-*used < uint64(f.Len) {
		*used = p.Bytes
		return No
	}
	*used += uint64(f.Len)
	return Yes
}

type turn struct{ next uint32 }

// eval counts 0 to Every-1 and around again; it is yes at Start.
func (p Nth) eval(f *packet.Facts) Answer {
	t := memory(f, p.Key, func() *turn { return &turn{} })
	hit := t.next == p.Start
	if t.next++; t.next >= p.Every {
		t.next = 0
	}
	return Bool(hit)
}
