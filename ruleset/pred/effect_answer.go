package pred

import (
	"fmt"
	"net/netip"
)

// Reject drops the packet and answers it.
type Reject struct {
	Reset bool  // with a TCP reset; else with an ICMP error "destination unreachable"
	Code  uint8 // of the error: of ICMP (RFC 792, RFC 1812), in IPv6 of ICMPv6 (RFC 4443)
}

// Queue lets the program that listens on a queue decide about the packet.
type Queue struct {
	From, To  uint16 // flows are spread over the queues from From to To
	Bypass    bool   // the packet is accepted when no program listens
	CPUFanout bool   // the queue is taken by processor, not by flow
}

// TProxy hands the packet to a local socket without changing it (net/netfilter/xt_TPROXY.c).
type TProxy struct {
	Proto       uint8 // TCP or UDP
	Addr        netip.Addr
	Port        uint16 // 0: that of the packet
	Value, Mask uint32 // mark = (mark & ^Mask) ^ Value
}

// SynProxy answers SYN packets in place of the server (net/netfilter/nf_synproxy_core.c).
type SynProxy struct {
	SACK, Timestamp, ECN, HasMSS, HasWScale bool
	MSS                                     uint16
	WScale                                  uint8
}

func (Reject) isEffect()   {}
func (Queue) isEffect()    {}
func (TProxy) isEffect()   {}
func (SynProxy) isEffect() {}

func (e Reject) String() string {
	if e.Reset {
		return "reject tcp-reset"
	}
	return fmt.Sprintf("reject unreachable code=%d", e.Code)
}

func (e Queue) String() string {
	return fmt.Sprintf("queue %d..%d", e.From, e.To) + when(e.Bypass, " bypass") + when(e.CPUFanout, " by-cpu")
}

func (e TProxy) String() string {
	return fmt.Sprintf("tproxy proto=%d %s port=%d mark=%#x/%#x", e.Proto, e.Addr, e.Port, e.Value, e.Mask)
}

func (e SynProxy) String() string {
	s := "synproxy" + when(e.SACK, " sack") + when(e.Timestamp, " timestamp") + when(e.ECN, " ecn")
	return s + when(e.HasMSS, fmt.Sprintf(" mss=%d", e.MSS)) + when(e.HasWScale, fmt.Sprintf(" wscale=%d", e.WScale))
}

// when is the text if a condition holds.
func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}
