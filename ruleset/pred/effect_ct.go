package pred

import "fmt"

// NoTrack leaves a packet that has no conntrack entry yet untracked.
type NoTrack struct{}

// Track says how the connection of a packet that has no conntrack entry yet is to be
// tracked (xt_ct_target(), net/netfilter/xt_CT.c). Proto is the transport protocol that
// Helper and Timeout are for.
type Track struct {
	Helper, Timeout string // names; empty: the usual
	Proto           uint8
	Events          uint32 // bits 1 << enum ip_conntrack_events that are reported; 0: all
	ExpectEvents    uint32 // the same for expectations
	Zone            uint16
	ZoneFromMark    bool    // the zone is the mark of the packet
	ZoneOf          ZoneDir // valid if there is a zone
}

// ZoneDir is the direction of a connection that a zone is for.
type ZoneDir uint8

// The directions.
const (
	ZoneBoth ZoneDir = iota
	ZoneOriginal
	ZoneReply
)

// HasZone says whether the connection gets a zone.
func (e Track) HasZone() bool { return e.ZoneFromMark || e.Zone != 0 }

func (NoTrack) isEffect() {}
func (Track) isEffect()   {}

func (e NoTrack) String() string { return "notrack" }

func (e Track) String() string {
	s := "track" + when(e.Helper != "", fmt.Sprintf(" helper=%q", e.Helper)) + when(e.Timeout != "", fmt.Sprintf(" timeout=%q", e.Timeout))
	s += when(e.Proto != 0, fmt.Sprintf(" proto=%d", e.Proto))
	s += when(e.Events != 0, fmt.Sprintf(" events=%#x", e.Events)) + when(e.ExpectEvents != 0, fmt.Sprintf(" expect-events=%#x", e.ExpectEvents))
	zone := fmt.Sprint(e.Zone)
	if e.ZoneFromMark {
		zone = "mark"
	}
	return s + when(e.HasZone(), " zone-"+e.ZoneOf.String()+"="+zone)
}

// String names the direction.
func (d ZoneDir) String() string { return [...]string{"both", "original", "reply"}[d] }
