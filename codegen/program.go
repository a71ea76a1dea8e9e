package codegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Program is the code of one base chain, and what it needs in maps. It is pure data:
// bpf/attach puts it into the C datapath and loads it.
//
// Insns holds whole functions one after the other, each beginning with an instruction
// that carries its symbol (WithSymbol) and its rule text (WithSource). The first is
// "chain". All have the signature int f(ctx, facts): R1 is the context, R2 points to
// abi.Facts and must be checked for null before its first use. They call each other and
// the functions named in bpf/abi by label (asm.Call.Label), and reach maps of the datapath
// by WithReference. The loader gives them their type information.
type Program struct {
	Table    string
	Family   packet.Family
	Hook     packet.Hook
	Priority int32 // of the base chain

	// Whole says that the base chain is left to netfilter. There is no code: each packet is
	// noted, and dropped behind netfilter's table if the rules there were taken away.
	Whole bool
	Alone bool // see plan.Table
	// NAT says that the base chain translates addresses: netfilter asks it for the first
	// packet of a connection.
	NAT bool

	Needs  uint32 // abi.Need* bits
	Atomic bool   // count with atomic adds: the hook may be interrupted by itself
	Looks  bool   // it calls classified chains
	Base   int    // 1 more than the number of the base chain's class; 0: it is code
	Seat   int    // 1 more than that of its class for a program of rows alone; 0: the table is not all rows
	Rows   bool   // nothing is code: the program of its level that runs rows alone is its own
	Shim   bool   // rules of this hook have actions for netfilter's own targets
	Late   bool   // some of them are ended behind conntrack
	Insns  asm.Instructions
	Lead   Lead        // asked before Insns, or before the class Base
	Ops    uint64      // what the rows of its table may ask, as bits (enum class_op)
	Image  *rows.Image // the classified chains of the generation; nil: there are none

	// Rule ids and slots are numbers within the whole generation: a chain that is
	// reached from two hooks has one set of counters and states. A slot that two
	// programs use is listed in both, with the same contents.
	Rules   int // one more than the largest rule id
	Limits  []pred.Limit
	Nths    []pred.Nth
	Recents []pred.Recent
	Args    []pred.Pred // see plan.Plan
	SetUses []SetUse    // by slot
	Sets    []*plan.Set // of the plan
}
