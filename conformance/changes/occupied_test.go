package changes

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestOccupied: where others stand at the places that a new table or a first target needs, the change is refused, and
// what is enforced stays as it is: nothing of it is missing, other changes are made, and with the places free this one, too.
func TestOccupied(t *testing.T) {
	prepare(t)
	h, err := flood.NewHost("occupied")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Remove(); err != nil {
			t.Error(err)
		}
	})
	c := &changer{T: t, host: h, family: packet.IPv4}
	c.command(nil, "iptables", "-A", "INPUT", "-p", "udp", "--dport", "7", "-j", "DROP")
	t.Cleanup(func() { c.command(nil, "flush", "--all") })
	for _, one := range []struct {
		args   string
		places []int32
	}{
		{"-A INPUT -p udp --dport 8 -j REJECT", []int32{1}},                // of the guard
		{"-t security -A INPUT -p udp --dport 8 -j DROP", []int32{49, 50}}, // of the program, both
	} {
		args := append([]string{"iptables"}, strings.Fields(one.args)...)
		var links []link.Link
		if err := h.Do(func() (err error) {
			links, err = occupy(one.places)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if out, err := c.try("", args...); err == nil {
			t.Errorf("%s beside others: %s", one.args, out)
		}
		c.command(nil, "iptables", "-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP")
		if status := c.command(nil, "status"); strings.Contains(status, "detached") || !strings.Contains(status, "generation 1,") {
			t.Errorf("%s: %s", one.args, status)
		}
		for _, l := range links {
			l.Close()
		}
		c.command(nil, args...)
		if status := c.command(nil, "status"); !strings.Contains(status, "generation 1,") {
			t.Errorf("%s: %s", one.args, status)
		}
	}
}

// occupy links a program that accepts at INPUT.
func occupy(priorities []int32) (out []link.Link, err error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "other", Type: ebpf.Netfilter, AttachType: ebpf.AttachNetfilter, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	for _, priority := range priorities {
		l, err := link.AttachNetfilter(link.NetfilterOptions{
			Program: p, ProtocolFamily: link.NetfilterProtoIPv4, Hook: link.NetfilterInetHook(packet.Input), Priority: priority,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}
