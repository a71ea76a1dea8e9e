package pred

import "fmt"

// Log writes a line about the packet to the kernel log.
type Log struct {
	Level  uint8 // of syslog(3)
	Flags  LogFlags
	Prefix string
}

// LogFlags say what the line tells, as NF_LOG_* (include/uapi/linux/netfilter/nf_log.h).
type LogFlags uint8

// The flags.
const (
	LogTCPSequence LogFlags = 0x01
	LogTCPOptions  LogFlags = 0x02
	LogIPOptions   LogFlags = 0x04
	LogUID         LogFlags = 0x08
	LogMACDecode   LogFlags = 0x20
)

// NFLog passes a copy of the packet to the programs that listen on a netlink group.
type NFLog struct {
	Group     uint16
	Threshold uint16 // packets to collect before they are sent
	Prefix    string
	Cut       bool // copy SnapLen bytes of the packet at most
	SnapLen   uint32
}

// Audit writes an audit record: what became of the packet is Type, as in
// AUDIT_TYPE_* of include/uapi/linux/netfilter/xt_AUDIT.h.
type Audit struct{ Type AuditType }

// AuditType is what an audit record says became of the packet.
type AuditType uint8

// The types.
const (
	AuditAccept AuditType = iota
	AuditDrop
	AuditReject
)

// Trace has the kernel report each rule that the packet meets from here on.
type Trace struct{}

// BlinkLED makes a light blink (net/netfilter/xt_LED.c).
type BlinkLED struct {
	ID     string
	Delay  uint32 // milliseconds that it stays on; LEDForever: it stays on
	Always bool   // blink also when it is on
}

// LEDForever is the delay of a light that is not switched off.
const LEDForever = 1<<32 - 1

// IdleTimer tells user space when no packet came by for some seconds
// (net/netfilter/xt_IDLETIMER.c).
type IdleTimer struct {
	Label   string
	Timeout uint32
	Alarm   bool // the time that the system sleeps counts, too
}

// RateEst counts the packet in a rate estimator (net/netfilter/xt_RATEEST.c).
type RateEst struct {
	Name                      string
	IntervalUsec, AverageUsec uint32
}

func (Log) isEffect()       {}
func (NFLog) isEffect()     {}
func (Audit) isEffect()     {}
func (Trace) isEffect()     {}
func (BlinkLED) isEffect()  {}
func (IdleTimer) isEffect() {}
func (RateEst) isEffect()   {}

func (e Log) String() string {
	return fmt.Sprintf("log level=%d flags=%#x prefix=%q", e.Level, uint8(e.Flags), e.Prefix)
}

func (e NFLog) String() string {
	s := fmt.Sprintf("nflog group=%d threshold=%d prefix=%q", e.Group, e.Threshold, e.Prefix)
	return s + when(e.Cut, fmt.Sprintf(" snaplen=%d", e.SnapLen))
}

func (e Audit) String() string { return "audit " + e.Type.String() }
func (e Trace) String() string { return "trace" }

func (e BlinkLED) String() string {
	return fmt.Sprintf("led %q delay=%d", e.ID, int32(e.Delay)) + when(e.Always, " always")
}

func (e IdleTimer) String() string {
	return fmt.Sprintf("idletimer %q timeout=%d", e.Label, e.Timeout) + when(e.Alarm, " alarm")
}

func (e RateEst) String() string {
	return fmt.Sprintf("rateest %q interval=%dus average=%dus", e.Name, e.IntervalUsec, e.AverageUsec)
}

// String names the type.
func (t AuditType) String() string { return [...]string{"accept", "drop", "reject"}[t] }
