package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
)

// strays are links of ours whose pins are gone: somebody has removed or unmounted them, and
// the links are held elsewhere. They enforce rules that nobody knows any more.
func (s *Space) strays() (out []hooked, err error) {
	links, err := s.ownLinks()
	if err != nil {
		return nil, err
	}
	pinned := map[uint32]bool{}
	files, _ := os.ReadDir(s.linkDir()) // there may be none
	if s.aside {
		files = nil
	}
	for _, f := range files {
		pinned[pinnedID(filepath.Join(s.linkDir(), f.Name()))] = true
	}
	for _, l := range links {
		if pinned[l.Link] {
			continue
		}
		ours, err := isOurs(l.Prog)
		if err != nil {
			return nil, err
		}
		if ours {
			out = append(out, l)
		}
	}
	return out, nil
}

// Strays gives a LostError if something of ours is linked of which no pin is left, and an
// ElsewhereError if its pins may be out of sight. Where the kernel cannot be asked, for want of
// rights, nothing is known of any.
func (s *Space) Strays() error {
	strays, err := s.strays()
	if err != nil || len(strays) == 0 {
		return nil
	}
	if !s.leftOver(strays) {
		return &ElsewhereError{len(strays)}
	}
	return &LostError{fmt.Sprintf("links without pins are at %d hooks", len(strays))}
}

// RemoveStrays detaches links of ours whose pins are gone. A generation that was installed
// beside them, at seats of its own, enforces its rules by then.
func (s *Space) RemoveStrays() error {
	strays, err := s.strays()
	if err != nil {
		return err
	}
	for _, l := range strays {
		found, err := link.NewFromID(link.ID(l.Link))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(found.Detach(), found.Close())
		}
		if err != nil {
			return fmt.Errorf("link %d, whose pin is gone: %w", l.Link, err)
		}
		failpoint.At("stray detached")
	}
	return s.removeAside()
}

// isOurs says whether a program is a constant one of ours.
func isOurs(id uint32) (bool, error) {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return false, fmt.Errorf("program %d at a hook: %w", id, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil || info.Name != abi.NetfilterProgEntry && info.Name != abi.NetfilterProgGuard {
		return false, err
	}
	maps, err := mapsOf(p)
	defer closeMaps(maps)
	return slices.ContainsFunc(sharedMaps, func(name string) bool { return maps[name] != nil }), err
}

// mapsOf opens the maps that a program uses.
func mapsOf(p *ebpf.Program) (map[string]*ebpf.Map, error) {
	out := map[string]*ebpf.Map{}
	info, err := p.Info()
	if err != nil {
		return out, err
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return out, err
		}
		info, err := m.Info()
		if err != nil || out[info.Name] != nil {
			m.Close()
			continue
		}
		out[info.Name] = m
	}
	return out, nil
}

// besideSuffix ends the name of what is pinned until it gets the name of another pin: bpffs
// has no names with dots.
const besideSuffix = "~"

// completePins gives links the names that a process, which was killed, had pinned them for. The
// kernel has the links: a priority that one of them stands at is not free.
func (s *Space) completePins() error {
	files, err := os.ReadDir(s.linkDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, f := range files {
		temp := filepath.Join(s.linkDir(), f.Name())
		if !strings.HasSuffix(temp, besideSuffix) {
			continue
		}
		if err := os.Rename(temp, strings.TrimSuffix(temp, besideSuffix)); err != nil {
			return fmt.Errorf("pin of a link: %w", err)
		}
	}
	return nil
}

// repin pins something in the place of what is pinned there, in one step.
func repin(pin func(string) error, path string) error {
	temp := path + besideSuffix
	_ = os.Remove(temp) // of a process that was killed
	if err := pin(temp); err != nil {
		return err
	}
	failpoint.At("pinned beside")
	return os.Rename(temp, path)
}
