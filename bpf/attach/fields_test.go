package attach_test

import (
	"net"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// fieldRules is how many values of a field can be told apart.
const fieldRules = 1 << 13

// countField counts packets for the rule with the number of a field's value, and accepts.
func countField(family packet.Family, hook packet.Hook, field pred.Field) codegen.Program {
	p := codegen.Program{Table: "filter", Family: family, Hook: hook, Rules: fieldRules}
	p.Insns = append(start("chain"),
		asm.Mov.Imm(asm.R3, int32(field)),
		asm.Call.Label(abi.FuncGetField),
		asm.And.Imm(asm.R0, fieldRules-1),
		asm.StoreMem(asm.R7, int16(unsafe.Offsetof(layout.Rule)), asm.R0, asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
	return p
}

// value is the one value that a field had since the program was applied.
func value(t *testing.T, g *attach.Generation) int {
	t.Helper()
	found := -1
	for rule, c := range counters(t, g) {
		if c.Packets == 0 {
			continue
		}
		if found >= 0 {
			t.Fatalf("values %d and %d", found, rule)
		}
		found = rule
	}
	return found
}

// TestFields reads everything that is not in the packet.
func TestFields(t *testing.T) {
	inNamespace(t)
	run(t, "ip", "link", "set", "lo", "group", "77")
	run(t, "ip", "addr", "add", "192.0.2.1/32", "dev", "lo")
	run(t, "ip", "route", "change", "local", "192.0.2.1", "dev", "lo", "table", "local", "realm", "5")
	s := open(t, packet.IPv4)
	if err := anchor.Of(packet.IPv4).ConntrackOn(anchor.Tracking()); err != nil {
		t.Fatal(err)
	}
	defer anchor.Of(packet.IPv4).ConntrackOff()
	c := receiver(t, "192.0.2.1:9")
	// The credentials of a socket's file are those of the thread that opened it.
	fsuid, _ := unix.SetfsuidRetUid(1234)
	fsgid, _ := unix.SetfsgidRetGid(4321)
	out, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4000}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9})
	unix.SetfsuidRetUid(fsuid)
	unix.SetfsgidRetGid(fsgid)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, f := range []struct {
		hook  packet.Hook
		field pred.Field
		want  int
	}{
		{packet.Output, pred.FieldCtStatus, 0},
		{packet.Input, pred.FieldCtStatus, 0x8},
		{packet.Output, pred.FieldCtDir, 0},
		{packet.Output, pred.FieldCtProto, 17},
		{packet.Output, pred.FieldCtOrigSrcPort, 4000},
		{packet.Output, pred.FieldCtOrigDstPort, 9},
		{packet.Output, pred.FieldCtReplSrcPort, 9},
		{packet.Output, pred.FieldCtReplDstPort, 4000},
		{packet.Output, pred.FieldCtExpire, 29},
		{packet.Output, pred.FieldSocket, 2},
		{packet.Output, pred.FieldUID, 1234},
		{packet.Output, pred.FieldGID, 4321},
		{packet.Input, pred.FieldSocket, 0},
		{packet.Output, pred.FieldClassed, 1},
		{packet.Output, pred.FieldClassID, 0},
		{packet.Input, pred.FieldClassed, 0},
		{packet.Input, pred.FieldPktType, 0},
		{packet.Output, pred.FieldPktType, 0},
		{packet.Input, pred.FieldRealm, 5},
		{packet.Input, pred.FieldInGroup, 77},
		{packet.Input, pred.FieldOutGroup, 0},
		{packet.Output, pred.FieldOutGroup, 77},
		{packet.Output, pred.FieldHasIn, 0},
		{packet.Output, pred.FieldHasOut, 1},
		{packet.Input, pred.FieldHasIn, 1},
		{packet.Input, pred.FieldHasOut, 0},
		{packet.Input, pred.FieldBridged, 0},
	} {
		g := apply(t, s, countField(packet.IPv4, f.hook, f.field))
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		expect(t, c, "x")
		got := value(t, g)
		switch {
		case f.field == pred.FieldCtStatus:
			got &= f.want // other bits come with time
		case f.field == pred.FieldCtExpire && got == f.want+1:
			got = f.want
		}
		if got != f.want {
			t.Errorf("%s %s: %d, want %d", f.hook, f.field, got, f.want)
		}
	}
}

// nameIs counts packets for rule 1 if a name of a bridge port begins with a letter, else
// for rule 0.
func nameIs(hook packet.Hook, which pred.NameField, letter byte) codegen.Program {
	p := codegen.Program{Table: "filter", Family: packet.IPv4, Hook: hook, Rules: fieldRules}
	rule := int16(unsafe.Offsetof(layout.Rule))
	p.Insns = append(start("chain"),
		asm.Mov.Imm(asm.R3, int32(which)),
		asm.Call.Label(abi.FuncGetName),
		asm.StoreImm(asm.R7, rule, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R7, int16(unsafe.Offsetof(layout.Tmp)), asm.Byte),
		asm.JNE.Imm(asm.R3, int32(letter), "end"),
		asm.StoreImm(asm.R7, rule, 1, asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept).WithSymbol("end"), asm.Return())
	return p
}

// addrByte counts packets for the rule with the number of an address's last byte.
func addrByte(hook packet.Hook, which pred.AddrField) codegen.Program {
	p := codegen.Program{Table: "filter", Family: packet.IPv4, Hook: hook, Rules: fieldRules}
	p.Insns = append(start("chain"),
		asm.Mov.Imm(asm.R3, int32(which)),
		asm.Call.Label(abi.FuncGetAddr),
		asm.LoadMem(asm.R3, asm.R7, int16(unsafe.Offsetof(layout.Tmp))+3, asm.Byte),
		asm.StoreMem(asm.R7, int16(unsafe.Offsetof(layout.Rule)), asm.R3, asm.Word),
		asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
	return p
}

// TestConnAddresses reads the addresses of a connection from 127.0.0.1 to 127.0.0.7.
func TestConnAddresses(t *testing.T) {
	inNamespace(t)
	s := open(t, packet.IPv4)
	if err := anchor.Of(packet.IPv4).ConntrackOn(anchor.Tracking()); err != nil {
		t.Fatal(err)
	}
	defer anchor.Of(packet.IPv4).ConntrackOff()
	c := receiver(t, "127.0.0.7:9")
	for _, a := range []struct {
		which pred.AddrField
		want  int
	}{{pred.AddrCtOrigSrc, 1}, {pred.AddrCtOrigDst, 7}, {pred.AddrCtReplSrc, 7}, {pred.AddrCtReplDst, 1}} {
		g := apply(t, s, addrByte(packet.Input, a.which))
		send(t, "127.0.0.7:9", "x")
		expect(t, c, "x")
		if got := value(t, g); got != a.want {
			t.Errorf("address %d ends with %d, want %d", a.which, got, a.want)
		}
	}
}

// TestBridged lets a bridge forward a packet.
func TestBridged(t *testing.T) {
	inNamespace(t)
	for _, command := range []string{
		"link add br0 type bridge", "link add from type veth peer name a0", "link add to type veth peer name b0",
		"link set a0 master br0", "link set b0 master br0",
		"link set br0 up", "link set from up", "link set to up", "link set a0 up", "link set b0 up",
	} {
		run(t, "ip", strings.Fields(command)...)
	}
	run(t, "sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=1", "net.ipv6.conf.all.disable_ipv6=1")
	from, err := net.InterfaceByName("from")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ip := udp4(9)
	ip[10], ip[11] = 0x8e, 0x9a // checksum
	frame := append([]byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0}, ip...)
	s := open(t, packet.IPv4)
	for _, c := range []struct {
		prog codegen.Program
		want int
	}{
		{countField(packet.IPv4, packet.Forward, pred.FieldBridged), 15},
		{nameIs(packet.Forward, pred.NamePhysIn, 'a'), 1},
		{nameIs(packet.Forward, pred.NamePhysOut, 'b'), 1},
	} {
		g := apply(t, s, c.prog)
		deadline := time.Now().Add(5 * time.Second)
		got := -1
		for got < 0 && time.Now().Before(deadline) { // the ports may not forward yet
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: from.Index}); err != nil {
				t.Fatal(err)
			}
			got = value(t, g)
		}
		if got != c.want {
			t.Errorf("%d, want %d", got, c.want)
		}
	}
}
