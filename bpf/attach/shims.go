package attach

import (
	"fmt"
	"os"
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
	Notes uint32 // where the notes are that it reads, see NotesOf
	Bits  uint32 // bit, any_bit, late_bit: those of the number of an action
	// take: what bits of the number of the action are, and which
	Leaf, LeafBits uint32
	Late           bool // pending: some actions of the table are ended behind conntrack
}

// shimObject has the match programs.
var shimObject = newCompiled("shim", abi.Shim, abi.LoadShim)

// pinShims loads the match programs of a generation and pins them in its directory. Of one that is there, it is the
// same.
func (s *Space) pinShims(number uint32, shims []ShimProgram) error {
	for i := range shims {
		path := filepath.Join(s.genDir(number), shims[i].Name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		p, err := s.loadShim(number, &shims[i])
		if err != nil {
			return fmt.Errorf("match program %s: %w", shims[i].Name, err)
		}
		err = p.Pin(path)
		p.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// AddShims loads match programs beside those that the generation has. A process that is killed leaves some
// that nothing asks; the next one finds them there.
func (g *Generation) AddShims(shims []ShimProgram) error {
	if err := g.space.makeShared(); err != nil {
		return err
	}
	return g.space.pinShims(g.number, shims)
}

func (s *Space) loadShim(number uint32, shim *ShimProgram) (*ebpf.Program, error) {
	all, err := shimObject.linked()
	if err != nil {
		return nil, err
	}
	if all.Programs[shim.Kind] == nil {
		return nil, fmt.Errorf("there is no kind %q", shim.Kind)
	}
	spec, prog := part(all, shim.Kind)
	err = set(spec, map[string]uint32{
		abi.ShimVarGen: number, abi.ShimVarNoteSlot: shim.Notes, abi.ShimVarNumberBits: shim.Bits, abi.ShimVarLeaf: shim.Leaf, abi.ShimVarLeafBits: shim.LeafBits, abi.ShimVarLate: boolean(shim.Late),
	})
	if err != nil {
		return nil, err
	}
	return loadConstant(spec, prog, s.maps)
}

// NotesOf is where the notes are of packets that the programs of a table send to netfilter; all says that they
// are those of all its base chains, else of that at a hook and a priority.
func (g *Generation) NotesOf(table string, all bool, hook packet.Hook, priority int32) uint32 {
	for _, s := range g.guests {
		if s.table == table && (all || s.hook == hook && s.priority == priority) {
			return s.at.note()
		}
	}
	return 0
}
