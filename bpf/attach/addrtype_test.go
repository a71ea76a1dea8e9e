package attach_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// addrTypes are the types in the order of their numbers.
var addrTypes = []string{"UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT"}

// countTypes counts packets at OUTPUT for rule 2*type if their source is of that type,
// and for rule 2*type+1 if that holds for the output interface.
func countTypes() codegen.Program {
	p := codegen.Program{Table: "filter", Family: packet.IPv4, Hook: packet.Output, Rules: 2*len(addrTypes) + 1}
	p.Insns = start("chain")
	for rule := range 2 * len(addrTypes) {
		next := fmt.Sprintf("next%d", rule)
		arg := int32(1<<(rule/2) | rule%2<<25)
		p.Insns = append(p.Insns,
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, arg),
			asm.Call.Label(abi.FuncAddrType),
			asm.JNE.Imm(asm.R0, 1, next),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, int32(rule)),
			asm.Call.Label(abi.FuncCount),
			asm.Mov.Reg(asm.R0, asm.R0).WithSymbol(next))
		p.Insns[len(p.Insns)-1] = asm.Mov.Imm(asm.R0, 0).WithSymbol(next)
	}
	p.Insns = append(p.Insns,
		asm.StoreImm(asm.R7, int16(unsafe.Offsetof(layout.Rule)), int64(2*len(addrTypes)), asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
	return p
}

// TestAddrType compares with netfilter: rules of iptables-legacy must count the same.
func TestAddrType(t *testing.T) {
	inNamespace(t)
	for _, command := range []string{
		"link add d0 type veth peer name d1", "addr add 192.0.2.1/24 dev d0", "addr add 198.51.100.1/32 dev lo",
		"link set d0 up", "link set d1 up",
		"route add local 203.0.113.0/26 dev lo", "route add blackhole 203.0.113.64/26",
		"route add unreachable 203.0.113.128/26", "route add 198.18.0.0/15 dev d0",
		"route add broadcast 203.0.113.200 dev d0 table local",
		"route add 198.19.1.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.3",
		"nexthop add id 1 via 192.0.2.4 dev d0", "route add 198.19.2.0/24 nhid 1",
		"nexthop add id 2 blackhole", "route add 198.19.3.0/24 nhid 2",
		"nexthop add id 3 group 1", "route add 198.19.4.0/24 nhid 3",
		"route add local 198.19.5.5 dev d0 table local", "route add 198.19.5.0/24 tos 0x10 dev d0",
		"route add throw 198.19.6.0/24", "route add local 0.0.0.0/0 dev lo table 77",
	} {
		run(t, "ip", strings.Fields(command)...)
	}
	compareTypes(t)
	// A rule splits the tries of the tables local and main.
	run(t, "ip", "rule", "add", "from", "192.0.2.77", "lookup", "77")
	compareTypes(t)
}

func compareTypes(t *testing.T) {
	t.Helper()
	s := open(t, packet.IPv4)
	g := apply(t, s, countTypes())
	rules := "*filter\n"
	for _, typ := range addrTypes {
		for _, limit := range []string{"", " --limit-iface-out"} {
			rules += "-A OUTPUT -m addrtype --src-type " + typ + limit + "\n"
		}
	}
	restore(t, "iptables-legacy", "*filter\n-F OUTPUT\nCOMMIT\n"+rules+"COMMIT\n")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, address := range []string{
		"0.0.0.1", "0.255.0.0", "10.0.0.1", "127.0.0.1", "127.255.255.255", "126.255.255.255", "128.0.0.0",
		"192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.255", "198.51.100.1", "198.51.100.2", "224.0.0.1",
		"239.255.255.255", "240.0.0.1", "255.255.255.254", "255.255.255.255", "203.0.113.0", "203.0.113.63",
		"203.0.113.64", "203.0.113.127", "203.0.113.128", "203.0.113.200", "203.0.113.201", "198.18.0.1",
		"198.19.1.1", "198.19.2.1", "198.19.3.1", "198.19.4.1", "198.19.5.5", "198.19.5.6", "198.19.6.1",
		"198.19.255.255", "198.20.0.0", "1.2.3.4",
	} {
		before, legacy := counters(t, g), typeCounts(t, "iptables-legacy-save")
		p := udp4(9)
		a := netip.MustParseAddr(address).As4()
		copy(p[12:], a[:])
		copy(p[16:], []byte{127, 0, 0, 1})
		if err := unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatalf("send from %s: %v", address, err)
		}
		after, legacyAfter := counters(t, g), typeCounts(t, "iptables-legacy-save")
		for i, n := range legacy {
			want, got := legacyAfter[i]-n, after[i].Packets-before[i].Packets
			if want != got {
				t.Errorf("%s %s limited=%d: netfilter %d, BPF %d", address, addrTypes[i/2], i%2, want, got)
			}
		}
	}
}

// typeCounts are the packet counters of the addrtype rules.
func typeCounts(t *testing.T, save string) (out []uint64) {
	t.Helper()
	for line := range strings.Lines(run(t, save, "-c", "-t", "filter")) {
		if strings.Contains(line, "addrtype") {
			var n uint64
			if _, err := fmt.Sscanf(line, "[%d:", &n); err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
	}
	return out
}
