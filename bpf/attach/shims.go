package attach

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// ShimProgram is a match program for "iptables -m bpf --object-pinned", see
// bpf/shim.bpf.c. It is pinned under Name in the directory of the generation.
type ShimProgram struct {
	Name  string
	Kind  string // the name of the program there
	Table string // whose notes it reads
	// Base says that it reads those of one base chain only, that at
	Base     bool
	Hook     packet.Hook
	Priority int32
	Bit      uint8 // bit, late_bit: which one of the number of an action
	Late     bool  // pending: some actions of the table are ended behind conntrack
}

// shimObject has the match programs.
var shimObject = newCompiled("shim", abi.Shim, abi.LoadShim)

// pinShims loads the match programs and pins them in a directory.
func (g *Generation) pinShims(dir string, shims []ShimProgram) error {
	for i := range shims {
		p, err := g.loadShim(&shims[i])
		if err != nil {
			return fmt.Errorf("match program %s: %w", shims[i].Name, err)
		}
		err = p.Pin(filepath.Join(dir, shims[i].Name))
		p.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *Generation) loadShim(s *ShimProgram) (*ebpf.Program, error) {
	all, err := shimObject.linked()
	if err != nil {
		return nil, err
	}
	if all.Programs[s.Kind] == nil {
		return nil, fmt.Errorf("there is no kind %q", s.Kind)
	}
	spec, prog := part(all, s.Kind)
	err = set(spec, map[string]uint32{
		abi.ShimVarGen: g.number, abi.ShimVarNoteSlot: g.noteSlot(s), abi.ShimVarBitNumber: uint32(s.Bit), abi.ShimVarLate: boolean(s.Late),
	})
	if err != nil {
		return nil, err
	}
	return loadConstant(spec, prog, g.space.maps)
}

// noteSlot is where the notes are that a match program reads.
func (g *Generation) noteSlot(p *ShimProgram) uint32 {
	for _, s := range g.guests {
		if s.table == p.Table && (!p.Base || s.hook == p.Hook && s.priority == p.Priority) {
			return s.at.note()
		}
	}
	return 0
}
