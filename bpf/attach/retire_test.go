package attach_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestRetireFreesPrograms finds no program of an older generation in the program array.
func TestRetireFreesPrograms(t *testing.T) {
	inNamespace(t)
	s := open(t, packet.IPv4)
	for range 3 {
		g := apply(t, s,
			dropPort(packet.IPv4, "filter", packet.Output, 9), dropPort(packet.IPv4, "security", packet.Input, 9))
		if err := s.Retire(g.Number()); err != nil {
			t.Fatal(err)
		}
		mine := map[ebpf.ProgramID]bool{}
		for _, name := range []string{"0-OUTPUT:-1", "0-INPUT:-1"} {
			mine[programID(t, filepath.Join(s.Pins(), fmt.Sprintf("gen-%d", g.Number()), name))] = true
		}
		array, err := ebpf.LoadPinnedMap(filepath.Join(s.Pins(), abi.NetfilterMapProgs), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer array.Close()
		const half = 80
		other := (g.Number() + 1) % 2 * half
		for slot := range uint32(half) {
			var id uint32
			err := array.Lookup(other+slot, &id)
			if err == nil && !mine[ebpf.ProgramID(id)] {
				t.Errorf("generation %d: slot %d of the other half still has program %d", g.Number(), slot, id)
			}
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				t.Fatal(err)
			}
		}
	}
}

func programID(t *testing.T, pin string) ebpf.ProgramID {
	t.Helper()
	p, err := ebpf.LoadPinnedProgram(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}
