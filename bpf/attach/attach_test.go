package attach_test

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var layout abi.Facts

// dropPort is a hand-made chain: rule 0 drops UDP to a port, rule 1 (the policy)
// accepts. actions are noted before the drop.
func dropPort(family packet.Family, table string, hook packet.Hook, port uint16, actions ...int32) codegen.Program {
	be := port<<8 | port>>8
	insns := asm.Instructions{
		asm.JNE.Imm(asm.R2, 0, "start").WithSymbol("chain").WithSource(asm.Comment("rules.v4:1: drop")),
		asm.Mov.Imm(asm.R0, abi.Hotdrop),
		asm.Return(),
		asm.Mov.Reg(asm.R6, asm.R1).WithSymbol("start"),
		asm.Mov.Reg(asm.R7, asm.R2),
		asm.LoadMem(asm.R3, asm.R7, int16(unsafe.Offsetof(layout.Proto)), asm.Byte),
		asm.JNE.Imm(asm.R3, 17, "end"),
		asm.LoadMem(asm.R3, asm.R7, int16(unsafe.Offsetof(layout.L4))+2, asm.Half),
		asm.JNE.Imm(asm.R3, int32(be), "end"),
	}
	for _, a := range actions {
		insns = append(insns,
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, a),
			asm.Call.Label(abi.FuncNote))
	}
	insns = append(insns,
		asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), 0, asm.Word),
		asm.Mov.Imm(asm.R0, abi.Drop),
		asm.Return(),
		asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), 1, asm.Word).WithSymbol("end"),
		asm.Mov.Imm(asm.R0, abi.Accept),
		asm.Return(),
	)
	return codegen.Program{
		Table: table, Family: family, Hook: hook, Needs: abi.NeedL4, Shim: len(actions) > 0,
		Insns: insns, Rules: 2,
	}
}

// apply installs and activates programs as the next generation.
func apply(t *testing.T, s *attach.Space, progs ...codegen.Program) *attach.Generation {
	t.Helper()
	if err := applyTo(s, progs...); err != nil {
		t.Fatal(err)
	}
	g, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func applyTo(s *attach.Space, progs ...codegen.Program) error {
	n, err := s.Next()
	if err != nil {
		return err
	}
	g, err := s.Load(n, progs)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Install(nil); err != nil {
		return err
	}
	return g.Activate()
}

func open(t *testing.T, family packet.Family) *attach.Space {
	t.Helper()
	s, err := attach.Open(family)
	if err != nil {
		t.Fatal(err)
	}
	// Not held: a test opens both families.
	if err := errors.Join(s.Claim(), s.Release()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.RemoveAll(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func counters(t *testing.T, g *attach.Generation) []abi.Counter {
	t.Helper()
	c, err := g.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDropInput(t *testing.T) {
	for _, c := range []struct {
		family packet.Family
		host   string
		size   uint64
	}{{packet.IPv4, "127.0.0.1", 28}, {packet.IPv6, "[::1]", 48}} {
		t.Run(c.family.String(), func(t *testing.T) {
			inNamespace(t)
			s := open(t, c.family)
			blocked, free := receiver(t, c.host+":9"), receiver(t, c.host+":10")
			g := apply(t, s, dropPort(c.family, "filter", packet.Input, 9))
			send(t, c.host+":9", "lost")
			send(t, c.host+":10", "through")
			expect(t, free, "through")
			got := counters(t, g)
			if got[0] != (abi.Counter{Packets: 1, Bytes: c.size + 4}) || got[1] != (abi.Counter{Packets: 1, Bytes: c.size + 7}) {
				t.Fatalf("counters %v", got)
			}
			g2 := apply(t, s, dropPort(c.family, "filter", packet.Input, 10))
			if err := s.Retire(g2.Number()); err != nil {
				t.Fatal(err)
			}
			send(t, c.host+":10", "lost")
			send(t, c.host+":9", "again")
			expect(t, blocked, "again")
		})
	}
}

func TestDropOutput(t *testing.T) {
	inNamespace(t)
	s := open(t, packet.IPv4)
	apply(t, s, dropPort(packet.IPv4, "filter", packet.Output, 9))
	if err := send(t, "127.0.0.1:9", "lost"); err == nil {
		t.Fatal("a packet dropped at OUTPUT was sent without an error")
	}
}
