package attach_test

import (
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// ifYes is a chain that drops what a function says yes to and counts it for rule 0; the
// rest is accepted for rule 1.
func ifYes(family packet.Family, function string, arg int32) codegen.Program {
	rule := int16(unsafe.Offsetof(layout.Rule))
	return codegen.Program{
		Table: "filter", Family: family, Hook: packet.Input, Needs: abi.NeedL4, Rules: 2,
		Insns: asm.Instructions{
			asm.JNE.Imm(asm.R2, 0, "start").WithSymbol("chain").WithSource(asm.Comment(function)),
			asm.Mov.Imm(asm.R0, abi.Hotdrop),
			asm.Return(),
			asm.Mov.Reg(asm.R7, asm.R2).WithSymbol("start"),
			asm.Mov.Imm(asm.R3, arg),
			asm.Call.Label(function),
			asm.JEq.Imm(asm.R0, abi.Yes, "yes"),
			asm.StoreImm(asm.R7, rule, 1, asm.Word),
			asm.Mov.Imm(asm.R0, abi.Accept),
			asm.Return(),
			asm.StoreImm(asm.R7, rule, 0, asm.Word).WithSymbol("yes"),
			asm.Mov.Imm(asm.R0, abi.Drop),
			asm.Return(),
		},
	}
}

// packets sends datagrams to a port of this host and gives the counts of yes and no.
func packets(t *testing.T, p codegen.Program, n int) (yes, no uint64) {
	t.Helper()
	s := open(t, p.Family)
	g := apply(t, s, p)
	for range n {
		if err := send(t, "127.0.0.1:9", "x"); err != nil {
			t.Fatal(err)
		}
	}
	c := counters(t, g)
	return c[0].Packets, c[1].Packets
}

func TestNth(t *testing.T) {
	inNamespace(t)
	receiver(t, "127.0.0.1:9")
	p := ifYes(packet.IPv4, abi.FuncNth, 1)
	p.Nths = []pred.Nth{{Slot: 0, Every: 2}, {Slot: 1, Every: 3, Start: 2}}
	if yes, no := packets(t, p, 8); yes != 2 || no != 6 {
		t.Errorf("third of three: yes %d, no %d", yes, no)
	}
}

func TestLimit(t *testing.T) {
	inNamespace(t)
	receiver(t, "127.0.0.1:9")
	p := ifYes(packet.IPv4, abi.FuncLimit, 0)
	p.Limits = []pred.Limit{{Avg: 10000 * 3600, Burst: 5}} // one in an hour
	if yes, no := packets(t, p, 8); yes != 5 || no != 3 {
		t.Errorf("burst of five: yes %d, no %d", yes, no)
	}
}

// stampsOf are the sets that rules keep.
func stampsOf(recents []pred.Recent) (out []*plan.Set) {
	of := map[string]*plan.Set{}
	for _, r := range recents {
		if of[r.List] == nil {
			of[r.List] = &plan.Set{Name: r.List, Stamps: &plan.Stamps{Mask: r.Mask}}
			out = append(out, of[r.List])
		}
		of[r.List].Stamps.Hits = append(of[r.List].Stamps.Hits, r.Hits)
	}
	return out
}

func TestRecent(t *testing.T) {
	inNamespace(t)
	receiver(t, "127.0.0.1:9")
	p := ifYes(packet.IPv4, abi.FuncRecent, 1)
	all := [16]byte{255, 255, 255, 255}
	p.Recents = []pred.Recent{
		{Slot: 0, List: "other", Op: pred.RecentSet, Mask: all},
		{Slot: 1, List: "a.b", Op: pred.RecentUpdate, Mask: all, Seconds: 60, Hits: 4, Negate: true},
	}
	p.Sets = stampsOf(p.Recents)
	if yes, no := packets(t, p, 3); yes != 3 || no != 0 {
		t.Errorf("not updated: yes %d, no %d", yes, no)
	}
	s := open(t, packet.IPv4)
	p = ifYes(packet.IPv4, abi.FuncRecent, 0)
	p.Recents = []pred.Recent{{Slot: 0, List: "a.b", Op: pred.RecentSet, Mask: all}}
	p.Sets = stampsOf(p.Recents)
	apply(t, s, p)
	for range 3 {
		send(t, "127.0.0.1:9", "x")
	}
	p.Recents = []pred.Recent{{Slot: 0, List: "a.b", Op: pred.RecentUpdate, Mask: all, Seconds: 60, Hits: 5}}
	p.Sets = stampsOf(p.Recents)
	g := apply(t, s, p)
	if err := s.Retire(g.Number()); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		send(t, "127.0.0.1:9", "x")
	}
	if got := counters(t, g); got[0].Packets != 0 || got[1].Packets != 4 {
		t.Errorf("five hits: %v", got)
	}
	p.Recents[0].Hits = 3
	p.Sets = stampsOf(p.Recents)
	g = apply(t, s, p)
	send(t, "127.0.0.1:9", "x")
	if got := counters(t, g); got[0] != (abi.Counter{Packets: 1, Bytes: 29}) {
		t.Errorf("three hits: %v", got)
	}
}
