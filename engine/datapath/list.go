package datapath

import (
	"fmt"
	"net/netip"
	"strings"
)

// List is a list of -m recent, where packets ask for it and change it.
type List interface {
	// Entries are the addresses in it, the one that was seen last as the last one.
	Entries() ([]Seen, error)
	// Add puts an address into it, or notes that it was seen now.
	Add(netip.Addr) error
	// Remove takes an address out; one that is not there is no failure.
	Remove(netip.Addr) error
	Flush() error
	Close() error
}

// Seen is an address in a list, with the times at which it was seen, in the kernel's jiffies.
type Seen struct {
	Addr   netip.Addr
	TTL    uint8
	Stamps []uint64
	Last   int    // which of them is the last one
	Index  uint32 // where the next one comes
}

// String is the line of /proc/net/xt_recent (recent_seq_show(), net/netfilter/xt_recent.c).
func (s Seen) String() string {
	var b strings.Builder
	last := uint64(0)
	if s.Last < len(s.Stamps) {
		last = s.Stamps[s.Last]
	}
	fmt.Fprintf(&b, "src=%s ttl: %d last_seen: %d oldest_pkt: %d", s.Addr.StringExpanded(), s.TTL, last, s.Index)
	for i, stamp := range s.Stamps {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %d", stamp)
	}
	return b.String()
}
