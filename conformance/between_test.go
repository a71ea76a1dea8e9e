package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// between is a switch that comes while a packet is between the program of a table and what
// netfilter does for it.
type between struct {
	name         string
	old, coming  string // rules
	table, chain string // of iptables-legacy, in which the switch is made; {gen} is the old number
	after        string // a command that another program runs before; "": none
	want         string // what is seen of the packet
	not          string // what is not
}

// The packet is sent from port to port 9.
const (
	betweenPacket = "udp 198.18.0.2:%d > 198.18.0.1:9 in eth0"
	rejects       = "*filter\n-A INPUT -p udp -m udp --dport 9 -j REJECT --reject-with icmp-admin-prohibited\nCOMMIT\n"
	refuses       = "*filter\n:INPUT DROP [0:0]\n-A INPUT " + fromNetfilter + " -j ACCEPT\nCOMMIT\n"
	allows        = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT " + fromNetfilter + " -j ACCEPT\nCOMMIT\n"
	accepts       = "*nat\nCOMMIT\n*filter\n-A INPUT -p udp -m udp --dport 10 -j DROP\nCOMMIT\n"
	redirects     = "*nat\n-A PREROUTING -p udp -m udp --dport 9 -j REDIRECT --to-ports 11\nCOMMIT\n" +
		"*filter\n-A INPUT -p udp -m udp --dport 11 -j REJECT --reject-with icmp-admin-prohibited\nCOMMIT\n"
	keeps    = "*filter\n-A INPUT -p udp -m udp --dport 11 -j REJECT --reject-with icmp-admin-prohibited\nCOMMIT\n"
	wholeNAT = "*nat\n-A PREROUTING -p udp -m udp --dport 9 -j REDIRECT --to-ports 11\n" +
		"-A PREROUTING " + fromNetfilter + " -j REDIRECT\nCOMMIT\n"
)

var betweens = []between{
	{name: "told, by the old rules", old: rejects, coming: accepts, table: "filter", chain: "INPUT", want: "type 3/13"},
	{name: "told, and removed", old: rejects, coming: accepts, table: "filter", chain: "INPUT", after: "nft delete table ip bpftables", not: "input in eth0"},
	{name: "translated, by the old rules", old: redirects, coming: keeps, table: "nat", chain: "PREROUTING", want: "type 3/13"},
	{name: "translated, and removed", old: redirects, coming: keeps, table: "nat", chain: "PREROUTING", after: "nft delete table ip bpftables", not: "input in eth0"},
	{name: "left, then judged by a program", old: refuses, coming: accepts, table: "filter", chain: "INPUT", not: "input in eth0"},
	{name: "left, and left again", old: refuses, coming: allows, table: "filter", chain: "INPUT", want: "input in eth0"},
	{name: "left, and in its chain", old: refuses, coming: accepts, table: "filter", chain: "bpftables{gen}-f-0", not: "input in eth0"},
	{name: "nat left, then not there", old: wholeNAT, coming: accepts, table: "nat", chain: "PREROUTING", not: "input in eth0"},
}

// A packet that is between two hooks when the rules are switched is handled by the generation
// whose program has seen it, or by the next as a whole, or it is dropped.
func TestSwitchBetweenHooks(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	for i, b := range betweens {
		t.Run(b.name, func(t *testing.T) { b.run(t, binary, 7000+i) })
	}
}

func (b *between) run(t *testing.T, binary string, port int) {
	l := newLab(t, binary)
	restore(t, binary, l.Host(), b.old)
	kill(t, binary, l.Host(), "conntrack", b.coming)
	pins := "/run/bpftables/bpf/" + namespaceOf(t, l) + "/ipv4"
	active, err := ebpf.LoadPinnedMap(filepath.Join(pins, "active"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer active.Close()
	old := liveIn(t, active)
	if b.after != "" {
		command(t, l.Host(), "", strings.Fields(b.after)...)
	}
	chain := strings.ReplaceAll(b.chain, "{gen}", fmt.Sprint(old))
	rule := []string{chain, "-m", "conntrack", "--ctstate", "NEW", "-m", "bpf", "--object-pinned", switcher(t, active, old+1)}
	legacy := []string{"iptables-legacy", "-w", "60", "-t", b.table}
	command(t, l.Host(), "", slices.Concat(legacy, []string{"-I"}, rule)...)
	// The path of the program is looked up with each change of the table.
	defer func() { command(t, l.Host(), "", slices.Concat(legacy, []string{"-D"}, rule)...) }()
	got := events(t, l, fmt.Sprintf(betweenPacket, port))
	if now := liveIn(t, active); now != old+1 {
		t.Fatalf("generation %d is live, not %d: the packet did not switch", now, old+1)
	}
	if b.want != "" && !strings.Contains(got, b.want) || b.not != "" && strings.Contains(got, b.not) {
		t.Errorf("%s: want %q, not %q", got, b.want, b.not)
	}
}

// liveIn is the number of the generation that is live.
func liveIn(t *testing.T, active *ebpf.Map) (n uint32) {
	t.Helper()
	if err := active.Lookup(uint32(0), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// switcher is the path of a program for "-m bpf" that makes a generation live, and matches
// nothing.
func switcher(t *testing.T, active *ebpf.Map, to uint32) string {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.StoreImm(asm.RFP, -8, int64(to), asm.Word),
		asm.LoadMapPtr(asm.R1, active.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "switch")
	if err := prog.Pin(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}
