package abi

import "unsafe"

// Facts is struct facts: what generated code reads. R2 of every generated function
// points to it; a null check of it must come first.
type Facts = NetfilterFacts

// Counter is one per-CPU counter of a rule.
type Counter = NetfilterCounter

// CounterBlock is how many counters an entry of MapCounters holds; a power of two.
const CounterBlock = uint32(unsafe.Sizeof(NetfilterCounterBlock{}) / unsafe.Sizeof(NetfilterCounter{}))

// Note is what one packet tells the shim.
type Note = NetfilterNoteEntry

// What struct facts holds beyond the IP header, length, mark and, for IPv4, proto,
// thoff and fragoff: bits of codegen.Program.Needs.
const (
	NeedL4  = uint32(NetfilterNeedNEED_L4) // l4, l4avail; for IPv6 also proto, l4state, thoff, fragoff
	NeedCt  = uint32(NetfilterNeedNEED_CT) // ctstate, hasconn
	NeedIif = uint32(NetfilterNeedNEED_IIF)
	NeedOif = uint32(NetfilterNeedNEED_OIF)
	NeedMac = uint32(NetfilterNeedNEED_MAC) // ether, mac_hi, mac_lo

	// With NeedCt.
	NeedCtMark = uint32(NetfilterNeedNEED_CT_MARK) // ctmark
	NeedCtNAT  = uint32(NetfilterNeedNEED_CT_NAT)  // SNAT and DNAT in ctstate
	// With NeedCt: a packet without an entry is dropped while nobody keeps conntrack on.
	NeedTracked = uint32(NetfilterNeedNEED_TRACKED)

	NeedWide = uint32(NetfilterNeedNEED_WIDE) // with NeedL4: all of l4, not only 8 bytes
)

// NeedRowsAlone is what programs of rows alone read of each packet, whatever rules there are: what
// is left costs more, and is read where the seat says so.
const NeedRowsAlone = NeedL4 | NeedWide | NeedCt | NeedCtMark | NeedCtNAT | NeedIif | NeedOif

// What the generated function chain returns.
const (
	Continue = int32(NetfilterVerdictV_CONTINUE)
	Accept   = int32(NetfilterVerdictV_ACCEPT)
	Drop     = int32(NetfilterVerdictV_DROP)
	Hotdrop  = int32(NetfilterVerdictV_HOTDROP)
)

// Answers of the functions that generated code calls.
const (
	No         = int32(NetfilterAnswerA_NO)
	Yes        = int32(NetfilterAnswerA_YES)
	HotdropNow = int32(NetfilterAnswerA_HOTDROP)
)

// Functions that generated code may call: R1 = context, R2 = facts, R3 = argument,
// result in R0. What they do is said at their definitions in bpf/*/*.h.
const (
	FuncGetField     = "get_field"     // R3: pred.Field; the number (64 bits)
	FuncGetAddr      = "get_addr"      // R3: pred.AddrField of conntrack; fills tmp
	FuncGetName      = "get_name"      // R3: pred.NamePhysIn or NamePhysOut; fills tmp
	FuncFindExt      = "find_ext"      // R3: header | hot<<8; an answer; fills tmp, tmplen
	FuncTCPOption    = "tcp_option"    // R3: kind; an answer
	FuncAddMSS       = "add_mss"       // no argument; an answer
	FuncTCPMSS       = "tcp_mss"       // R3: lo | hi<<16; an answer
	FuncMeetsDemand  = "meets_demand"  // R3: pred.Demand; an answer
	FuncDCCPOption   = "dccp_option"   // R3: kind; an answer
	FuncSCTPChunks   = "sctp_chunks"   // R3: slot; an answer
	FuncLoadBE32     = "load_be32"     // R3: offset; the word, or -1 (64 bits)
	FuncAddrType     = "addr_type"     // R3: mask | of<<16 | in<<24 | out<<25; an answer
	FuncAddrType6    = "addr_type6"    // the same
	FuncLimit        = "limit"         // R3: slot; an answer
	FuncNth          = "nth"           // R3: slot; an answer
	FuncRandom       = "random31"      // R3: threshold; an answer
	FuncRecent       = "recent"        // R3: slot; an answer
	FuncNamedSet     = "named_set"     // R3: slot; an answer
	FuncSearch       = "search_text"   // R3: slot; an answer
	FuncMeter        = "meter"         // R3: slot; an answer
	FuncQuota        = "quota"         // R3: slot; an answer
	FuncReversePath  = "reverse_path"  // R3: options; an answer
	FuncGroups       = "groups"        // R3: slot; an answer
	FuncConnCount    = "conn_count"    // R3: slot; an answer
	FuncConnLabel    = "conn_label"    // R3: bit; an answer
	FuncControlGroup = "control_group" // R3: slot; an answer
	FuncPolicy       = "policy"        // R3: slot; an answer
	FuncHeaders6     = "headers6"      // R3: bits | soft<<8 | negate<<9; an answer
	FuncEUI64        = "eui64"         // no argument; an answer
	FuncOptions6     = "options6"      // R3: slot; an answer
	FuncHops6        = "hops6"         // R3: slot; an answer
	FuncTime         = "in_time"       // R3: slot; an answer
	FuncCount        = "count"         // R3: rule; credits a rule that does not end the traversal
	FuncNote         = "note"          // R3: action
)

// The holes of the datapath that generated functions fill.
const (
	FuncChain = "chain" // the base chain
	FuncLead  = "lead"  // its first rules, where they ask for no headers
)

// MapCounters is the per-CPU array of blocks of Counter, for generated code that counts by
// itself (asm.Instruction.WithReference).
const MapCounters = NetfilterMapCounters

// LinksObject is the compiled bpf/links.bpf.c.
func LinksObject() []byte { return _LinksBytes }

// EarlyPacket is struct early_packet: what code generated for the early stage gets in
// R2; Facts come first.
type EarlyPacket = EarlyXdpEarlyPacket

// EarlyUp is what a chain of the early stage returns for a packet that must be judged by
// the hooks.
const EarlyUp = int32(EarlyXdpEarlyVerdictV_UP)

// Functions that code generated for the early stage may call, as above. The answer is 0
// when the facts asked for are good, else EarlyUp.
const (
	FuncEarlyCt  = "early_ct"  // R3: mask of the states that the question is about
	FuncEarlyLen = "early_len" // R3: 0
)

// EarlyAsksState is the bit beside the states that a classified chain asks for.
const EarlyAsksState = uint32(1) << 31

// What is known of the conntrack state: values of EarlyPacket.Ct with which questions can
// be answered. EarlyCtUnsure cannot tell NEW from INVALID.
const (
	EarlyCtNew     = int32(EarlyXdpEarlyStateCT_NEW)
	EarlyCtUnsure  = int32(EarlyXdpEarlyStateCT_UNSURE)
	EarlyCtInvalid = int32(EarlyXdpEarlyStateCT_INVALID)
)

// FuncEarlyLocal says whether the packet is for this host: No, Yes or EarlyUp. R3: 0.
const FuncEarlyLocal = "early_local"
