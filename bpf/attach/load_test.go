package attach_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestCountersExact lets several senders run at once: no packet may be missed.
func TestCountersExact(t *testing.T) {
	const senders, each = 4, 5000
	inNamespace(t)
	s := open(t, packet.IPv4)
	receiver(t, "127.0.0.1:9") // or ICMP errors would be counted, too
	g := apply(t, s, dropPort(packet.IPv4, "filter", packet.Output, 10))
	var all sync.WaitGroup
	for range senders {
		c, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all.Go(func() {
			for range each {
				c.Write([]byte("x"))
			}
		})
	}
	all.Wait()
	if c := counters(t, g); c[1].Packets != senders*each || c[1].Bytes != 29*senders*each {
		t.Fatalf("OUTPUT counted %v, want %d packets", c[1], senders*each)
	}
}

// many is a chain of n rules in functions of 500: rule i drops packets of length
// 10000+i, the rest is accepted.
func many(n int) codegen.Program {
	const per = 500
	p := codegen.Program{Table: "filter", Family: packet.IPv4, Hook: packet.Input, Rules: n + 1}
	p.Insns = start("chain")
	for i := 0; i < n; i += per {
		p.Insns = append(p.Insns,
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7),
			asm.Call.Label(fmt.Sprintf("part%d", i)), asm.JNE.Imm(asm.R0, 0, "chain-end"))
	}
	p.Insns = append(p.Insns,
		asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), int64(n), asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept),
		asm.Return().WithSymbol("chain-end"))
	for i := 0; i < n; i += per {
		p.Insns = append(p.Insns, start(fmt.Sprintf("part%d", i))...)
		for r := i; r < i+per; r++ {
			next := fmt.Sprintf("rule%d", r+1)
			test := asm.LoadMem(asm.R3, asm.R7, int16(unsafe.Offsetof(layout.Len)), asm.Word).
				WithSource(asm.Comment(fmt.Sprintf("rules.v4:%d: -A INPUT -m length --length %d -j DROP", r, 10000+r)))
			if r > i {
				test = test.WithSymbol(fmt.Sprintf("rule%d", r))
			}
			p.Insns = append(p.Insns, test,
				asm.JNE.Imm(asm.R3, int32(10000+r), next),
				asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), int64(r), asm.Word),
				asm.Mov.Imm(asm.R0, abi.Drop), asm.Return())
		}
		p.Insns = append(p.Insns, asm.Mov.Imm(asm.R0, abi.Continue).WithSymbol(fmt.Sprintf("rule%d", i+per)), asm.Return())
	}
	return p
}

// start begins a function: the context goes to R6, the facts to R7.
func start(name string) asm.Instructions {
	return asm.Instructions{
		asm.JNE.Imm(asm.R2, 0, name+"-start").WithSymbol(name).WithSource(asm.Comment(name)),
		asm.Mov.Imm(asm.R0, abi.Hotdrop),
		asm.Return(),
		asm.Mov.Reg(asm.R6, asm.R1).WithSymbol(name + "-start"),
		asm.Mov.Reg(asm.R7, asm.R2),
	}
}

func TestManyRules(t *testing.T) {
	const n = 20000
	inNamespace(t)
	s := open(t, packet.IPv4)
	begin := time.Now()
	g := apply(t, s, many(n))
	t.Logf("%d rules in %v", n, time.Since(begin))
	c := receiver(t, "127.0.0.1:9")
	send(t, "127.0.0.1:9", "x")
	expect(t, c, "x")
	send(t, "127.0.0.1:9", string(make([]byte, 10000+n-1-28)))
	send(t, "127.0.0.1:9", "y")
	expect(t, c, "y")
	if got := counters(t, g); got[n-1].Packets != 1 || got[n].Packets != 2 {
		t.Errorf("last rule %v, policy %v", got[n-1], got[n])
	}
}
