package attach_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// recentRule is a rule as netfilter and as the datapath take it.
type recentRule struct {
	text string
	pred pred.Recent
}

func mask4(a, b, c, d byte) [16]byte { return [16]byte{a, b, c, d} }

// recentRules are asked in order about every packet.
var recentRules = []recentRule{
	{"--rcheck --name A", pred.Recent{List: "A", Op: pred.RecentCheck}},
	{"! --rcheck --name A --hitcount 3 --seconds 5000", pred.Recent{List: "A", Op: pred.RecentCheck, Hits: 3, Seconds: 5000, Negate: true}},
	{"--set --name A", pred.Recent{List: "A", Op: pred.RecentSet}},
	{"--update --name A --rttl", pred.Recent{List: "A", Op: pred.RecentUpdate, TTL: true}},
	{"! --update --name A --hitcount 20 --reap --seconds 5000", pred.Recent{List: "A", Op: pred.RecentUpdate, Hits: 20, Seconds: 5000, Reap: true, Negate: true}},
	{"--set --name B --mask 255.255.255.240", pred.Recent{List: "B", Op: pred.RecentSet, Mask: mask4(255, 255, 255, 240)}},
	{"--rcheck --name B --hitcount 40", pred.Recent{List: "B", Op: pred.RecentCheck, Hits: 40}},
	{"--remove --name E", pred.Recent{List: "E", Op: pred.RecentRemove}},
	{"--set --name D --rdest", pred.Recent{List: "D", Op: pred.RecentSet, Dst: true}},
	{"--update --name D --rdest --hitcount 200 --rttl", pred.Recent{List: "D", Op: pred.RecentUpdate, Dst: true, Hits: 200, TTL: true}},
	{"--rcheck --name E --hitcount 2", pred.Recent{List: "E", Op: pred.RecentCheck, Hits: 2}},
	{"! --set --name E", pred.Recent{List: "E", Op: pred.RecentSet, Negate: true}},
	{"! --remove --name F", pred.Recent{List: "F", Op: pred.RecentRemove, Negate: true}},
}

// countRecents counts packets at OUTPUT for every rule that says yes.
func countRecents(rules []recentRule) codegen.Program {
	p := codegen.Program{Table: "filter", Family: packet.IPv4, Hook: packet.Output, Rules: len(rules) + 1}
	p.Insns = start("chain")
	for i, r := range rules {
		r.pred.Slot = i
		if r.pred.Mask == [16]byte{} {
			r.pred.Mask = mask4(255, 255, 255, 255)
		}
		p.Recents = append(p.Recents, r.pred)
		p.Sets = stampsOf(p.Recents)
		next := fmt.Sprintf("next%d", i)
		p.Insns = append(p.Insns,
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, int32(i)),
			asm.Call.Label(abi.FuncRecent),
			asm.JNE.Imm(asm.R0, 1, next),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, int32(i)),
			asm.Call.Label(abi.FuncCount),
			asm.Mov.Imm(asm.R0, 0).WithSymbol(next))
	}
	p.Insns = append(p.Insns,
		asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), int64(len(rules)), asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
	return p
}

// TestRecentAgrees sends packets from random addresses through the same rules in
// netfilter and in BPF.
func TestRecentAgrees(t *testing.T) {
	inNamespace(t)
	s := open(t, packet.IPv4)
	g := apply(t, s, countRecents(recentRules))
	rules := "*filter\n"
	for _, r := range recentRules {
		rules += "-A OUTPUT -m recent " + r.text + "\n"
	}
	restore(t, "iptables-legacy", rules+"COMMIT\n")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	seed := uint64(1)
	random := rand.New(rand.NewPCG(seed, seed))
	for range 4000 {
		p := udp4(9)
		p[8] = []byte{0, 63, 64}[random.IntN(3)]
		copy(p[12:], []byte{10, 0, byte(random.IntN(2)), byte(random.IntN(90) * 2)})
		copy(p[16:], []byte{127, 0, 0, byte(1 + random.IntN(3))})
		if err := unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}); err != nil {
			t.Fatal(err)
		}
	}
	ours := counters(t, g)
	i := 0
	for line := range strings.Lines(run(t, "iptables-legacy-save", "-c", "-t", "filter")) {
		if !strings.Contains(line, "recent") {
			continue
		}
		var n uint64
		if _, err := fmt.Sscanf(line, "[%d:", &n); err != nil {
			t.Fatal(err)
		}
		t.Logf("%6d %s", n, recentRules[i].text)
		if ours[i].Packets != n {
			t.Errorf("%s: netfilter counts %d packets, BPF %d", recentRules[i].text, n, ours[i].Packets)
		}
		i++
	}
}
