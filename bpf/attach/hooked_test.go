package attach

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/thread"
)

// TestNoHooks asks whether there are links at hooks while there is one, in another network namespace.
func TestNoHooks(t *testing.T) {
	needsRoot(t)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Netfilter, AttachType: ebpf.AttachNetfilter, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	thread.Do(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		var l link.Link
		if l, err = link.AttachNetfilter(link.NetfilterOptions{Program: prog, ProtocolFamily: unix.NFPROTO_IPV4, Priority: -7}); err == nil {
			t.Cleanup(func() { l.Close() })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if noHooks() {
		t.Error("there is no link, with one attached")
	}
}
