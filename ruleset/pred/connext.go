package pred

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Tracking is what the kernel keeps of connections while, or since, a rule asked for it.
type Tracking uint8

// What it may keep.
const (
	TracksCounters Tracking = 1 << iota // of packets and bytes; it goes on when the rule is gone
	TracksLabels                        // of connections that begin while the rule is there
)

// ConnMeasure is what the kernel counts of a connection.
type ConnMeasure uint8

// The measures, numbered as in enum xt_connbytes_what
// (include/uapi/linux/netfilter/xt_connbytes.h).
const (
	ConnPackets ConnMeasure = iota
	ConnBytes
	ConnAverage // bytes of a packet
)

// ConnDir is whose packets count, numbered as in enum xt_connbytes_direction.
type ConnDir uint8

// The directions.
const (
	ConnOriginal ConnDir = iota
	ConnReply
	ConnBoth
)

// ConnCount asks whether what a connection has carried lies in a range, or, where that runs backwards,
// outside of it; no, where nothing is counted (connbytes_mt(), net/netfilter/xt_connbytes.c).
type ConnCount struct {
	Of       ConnMeasure
	Dir      ConnDir
	From, To uint64
	Slot     int
}

// ConnLabel asks whether a label of the connection is set (connlabel_mt(), net/netfilter/xt_connlabel.c).
type ConnLabel struct{ Bit uint8 }

func (ConnCount) isPred() {}
func (ConnLabel) isPred() {}

func (p ConnCount) String() string {
	return fmt.Sprintf("ct-count(%s %s, %d..%d)", [...]string{"original", "reply", "both"}[p.Dir], [...]string{"packets", "bytes", "average"}[p.Of], p.From, p.To)
}
func (p ConnLabel) String() string { return fmt.Sprintf("ct-label(%d)", p.Bit) }

func (p ConnCount) eval(f *packet.Facts) Answer {
	if f.Conn == nil || f.Conn.Carried == nil {
		return No
	}
	n := p.count(f.Conn.Carried)
	if p.To >= p.From {
		return Bool(p.From <= n && n <= p.To)
	}
	return Bool(n < p.To || n > p.From)
}

func (p ConnCount) count(all *[2]packet.Carried) uint64 {
	var c packet.Carried
	for dir, one := range all {
		if p.Dir == ConnBoth || p.Dir == ConnDir(dir) {
			c.Packets, c.Bytes = c.Packets+one.Packets, c.Bytes+one.Bytes
		}
	}
	switch {
	case p.Of == ConnPackets:
		return c.Packets
	case p.Of == ConnBytes:
		return c.Bytes
	case c.Packets == 0:
		return 0
	}
	return c.Bytes / c.Packets
}

func (p ConnLabel) eval(f *packet.Facts) Answer {
	return Bool(f.Conn != nil && f.Conn.Labels[p.Bit/64]>>(p.Bit%64)&1 != 0)
}
