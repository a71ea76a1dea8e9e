package attach_test
import ("testing";"github.com/bpftables/bpftables/codegen";"time";"fmt";"github.com/cilium/ebpf/asm";"github.com/bpftables/bpftables/ruleset/packet";"github.com/bpftables/bpftables/bpf/abi";"os";"runtime/pprof")
func TestProf(t *testing.T) {
	inNamespace(t)
	s := open(t, packet.IPv4)
	f,_:=os.Create("/tmp/cpu.prof")
	pprof.StartCPUProfile(f)
	for i:=0;i<3;i++ {
	t0:=time.Now()
	n,_:=s.Next()
	g,err:=s.Load(n, dropPorts(packet.Input))
	if err!=nil {t.Fatal(err)}
	t1:=time.Now()
	if err:=g.Install(shims("filter"));err!=nil {t.Fatal(err)}
	t2:=time.Now()
	g.Activate()
	t3:=time.Now()
	s.Retire(n)
	fmt.Println(t1.Sub(t0), t2.Sub(t1), t3.Sub(t2), time.Since(t3))
	}
	// big
	p:=dropPort(packet.IPv4,"filter",packet.Input,9)
	var insns asm.Instructions
	N:=20000; per:=500
	head:=asm.Instructions{
		asm.JNE.Imm(asm.R2, 0, "start").WithSymbol("chain").WithSource(asm.Comment("x")),
		asm.Mov.Imm(asm.R0, abi.Hotdrop), asm.Return(),
		asm.Mov.Reg(asm.R6, asm.R1).WithSymbol("start"), asm.Mov.Reg(asm.R7, asm.R2),
	}
	insns=append(insns, head...)
	for i:=0;i<N/per;i++ {
		insns=append(insns, asm.Mov.Reg(asm.R1,asm.R6), asm.Mov.Reg(asm.R2,asm.R7), asm.Call.Label(fmt.Sprintf("part_%d",i)), asm.JNE.Imm(asm.R0,0,"end"))
	}
	insns=append(insns, asm.Mov.Imm(asm.R0,1), asm.Return().WithSymbol("end"))
	for i:=0;i<N/per;i++ {
		st:=fmt.Sprintf("s%d",i)
		insns=append(insns, asm.JNE.Imm(asm.R2, 0, st).WithSymbol(fmt.Sprintf("part_%d",i)).WithSource(asm.Comment("x")),asm.Mov.Imm(asm.R0, 3), asm.Return(),
		asm.Mov.Reg(asm.R7,asm.R2).WithSymbol(st))
		for j:=0;j<per;j++ {
			nx:=fmt.Sprintf("n%d_%d",i,j)
			mark:=asm.LoadMem(asm.R3, asm.R7, 16, asm.Word).WithSource(asm.Comment(fmt.Sprintf("rules.v4:%d: -A INPUT -s 192.0.2.%d/32 -p udp --dport %d -j DROP",i*per+j,j,i)))
			if j>0 { mark=mark.WithSymbol(fmt.Sprintf("n%d_%d",i,j-1)) }
			insns=append(insns, mark, asm.JNE.Imm(asm.R3, int32(i*per+j), nx), asm.LoadMem(asm.R3,asm.R7,148,asm.Byte),asm.JNE.Imm(asm.R3,17,nx),
			 asm.LoadMem(asm.R3,asm.R7,42,asm.Half),asm.JNE.Imm(asm.R3,int32(j),nx), asm.StoreImm(asm.R7,160,int64(i*per+j),asm.Word),asm.Mov.Imm(asm.R0,2),asm.Return())
		}
		insns=append(insns, asm.Mov.Imm(asm.R0,0).WithSymbol(fmt.Sprintf("n%d_%d",i,per-1)), asm.Return())
	}
	p.Insns=insns; p.Rules=N
	for i:=0;i<2;i++{
	t0:=time.Now()
	n,_:=s.Next()
	_,err:=s.Load(n,[]codegen.Program{p})
	fmt.Println("big", time.Since(t0), err)
	}
	pprof.StopCPUProfile()
}
