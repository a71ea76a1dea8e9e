package attach_test

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// showing is a chain that accepts and gives a part of the facts as the rule.
func showing(family packet.Family, off uintptr, size asm.Size) codegen.Program {
	p := codegen.Program{Table: "filter", Family: family, Hook: packet.Output, Needs: abi.NeedL4, Rules: 1}
	p.Insns = append(start("chain"),
		asm.LoadMem(asm.R3, asm.R7, int16(off), size),
		asm.StoreMem(asm.R7, int16(unsafe.Offsetof(layout.Rule)), asm.R3, asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
	return p
}

// TestDecodeAgrees compares the prologue with packet.Decode on random packets.
func TestDecodeAgrees(t *testing.T) {
	inNamespace(t)
	fields := []struct {
		field pred.Field
		off   uintptr
		size  asm.Size
		found bool // valid only if there is a transport header
	}{
		{pred.FieldL4State, unsafe.Offsetof(layout.L4state), asm.Byte, false},
		{pred.FieldProto, unsafe.Offsetof(layout.Proto), asm.Byte, true},
		{pred.FieldTHOff, unsafe.Offsetof(layout.Thoff), asm.Half, true},
		{pred.FieldFragOff, unsafe.Offsetof(layout.Fragoff), asm.Half, true},
		{pred.FieldL4Avail, unsafe.Offsetof(layout.L4avail), asm.Word, true},
		{pred.FieldLen, unsafe.Offsetof(layout.Len), asm.Word, false},
	}
	random := rand.New(rand.NewPCG(7, 7))
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		var runners []*attach.Runner
		for _, f := range fields {
			p := showing(family, f.off, f.size)
			r, err := attach.NewRunner(&p, 1000)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			runners = append(runners, r)
		}
		for range 1000 {
			raw := randomPacket(random, family)
			facts, ok := packet.Decode(family, raw)
			if !ok {
				t.Fatalf("% x is not decoded", raw)
			}
			facts.Hook = packet.Output
			for i, f := range fields {
				if f.found && facts.L4 != packet.L4Found {
					continue
				}
				got, err := runners[i].Run(facts)
				if err != nil {
					t.Fatal(err)
				}
				if want := pred.NumberOf(facts, f.field); got.Rule != want {
					t.Fatalf("%s %s of % x: %d in BPF, %d in Go", family, f.field, raw, got.Rule, want)
				}
			}
		}
	}
}

// randomPacket is an IP header with something behind it that often looks like
// extension headers.
func randomPacket(random *rand.Rand, family packet.Family) []byte {
	next := []byte{0, 43, 44, 51, 59, 60, 6, 17, 58}
	body := make([]byte, random.IntN(120))
	for i := range body {
		body[i] = []byte{next[random.IntN(len(next))], 0, 1, 2, byte(random.UintN(256))}[random.IntN(5)]
	}
	if family == packet.IPv6 {
		head := make([]byte, 40)
		head[0], head[6] = 0x60, next[random.IntN(len(next))]
		return append(head, body...)
	}
	head := make([]byte, 20)
	head[0], head[9] = 0x45+byte(random.IntN(4)), next[random.IntN(len(next))]
	head[6] = []byte{0, 0x20, 0x40, 1}[random.IntN(4)]
	return append(head, body...)
}
