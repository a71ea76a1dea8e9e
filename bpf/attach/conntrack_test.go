package attach_test

import (
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// countState counts packets at INPUT for the rule with the number of their
// conntrack state, and accepts them.
func countState(family packet.Family) codegen.Program {
	return codegen.Program{
		Table: "filter", Family: family, Hook: packet.Input, Needs: abi.NeedCt | abi.NeedTracked, Rules: 512,
		Insns: asm.Instructions{
			asm.JNE.Imm(asm.R2, 0, "start").WithSymbol("chain").WithSource(asm.Comment("state")),
			asm.Mov.Imm(asm.R0, abi.Hotdrop),
			asm.Return(),
			asm.LoadMem(asm.R3, asm.R2, int16(unsafe.Offsetof(layout.Ctstate)), asm.Word).WithSymbol("start"),
			asm.StoreMem(asm.R2, int16(unsafe.Offsetof(layout.Rule)), asm.R3, asm.Word),
			asm.Mov.Imm(asm.R0, abi.Accept),
			asm.Return(),
		},
	}
}

func TestConntrack(t *testing.T) {
	for family, host := range map[packet.Family]string{packet.IPv4: "127.0.0.1", packet.IPv6: "[::1]"} {
		t.Run(family.String(), func(t *testing.T) {
			inNamespace(t)
			s := open(t, family)
			g := apply(t, s, countState(family))
			c := receiver(t, host+":9")
			table := anchor.Of(family)
			// Rules that ask conntrack are judged by nothing while it is off: the packet is
			// dropped, as somebody has removed our wish for it.
			send(t, host+":9", "off")
			for range 2 {
				if err := table.ConntrackOn(anchor.Tracking()); err != nil {
					t.Fatal(err)
				}
			}
			send(t, host+":9", "on")
			expect(t, c, "on")
			for range 2 {
				if err := table.ConntrackOff(); err != nil {
					t.Fatal(err)
				}
			}
			send(t, host+":9", "off")
			if err := table.ConntrackOn(anchor.Tracking()); err != nil {
				t.Fatal(err)
			}
			send(t, host+":9", "on again")
			expect(t, c, "on again")
			if n := counters(t, g)[packet.CtNew].Packets; n != 2 {
				t.Errorf("%d packets NEW, want 2", n)
			}
			if n := counters(t, g)[packet.CtInvalid].Packets; n != 0 {
				t.Errorf("%d packets INVALID, want 0", n)
			}
		})
	}
}
