package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
)

// Retire removes all generations but one (0: all) and the links that it does not
// need. It must be the live one, and since it became that an RCU grace period must have
// passed (Quiesce): packets may still be inside programs of the one before.
func (s *Space) Retire(keep uint32) error {
	if keep == 0 {
		return s.RemoveAll()
	}
	live, err := s.live()
	if err != nil {
		return err
	}
	if live != keep {
		return fmt.Errorf("generation %d is live, not %d", live, keep)
	}
	entries, guards, err := s.hookLinks()
	if err != nil {
		return err
	}
	for _, h := range slices.Concat(entries, guards) {
		if _, err := os.Stat(filepath.Join(s.genDir(keep), h.name)); err == nil {
			continue
		}
		if err := s.unlink(h); err != nil {
			return err
		}
	}
	if err := s.clearHalf(keep); err != nil {
		return err
	}
	return s.removeGenerations(keep)
}

// clearHalf takes the programs of other generations than the live one out of the program
// array. Where the live one has a program at a hook, that comes into their place: to take
// one away from an entry that is linked, the kernel waits for an RCU grace period each
// time, and it does not to exchange it (bpf_arch_poke_desc_update(),
// arch/x86/net/bpf_jit_comp.c). Nothing gets there: an entry follows the live number.
func (s *Space) clearHalf(live uint32) error {
	array, err := s.shared(abi.NetfilterMapProgs)
	if err != nil || array == nil {
		return err
	}
	pins := map[uint32]string{}
	linked, _, err := s.linked()
	if err != nil {
		return err
	}
	for _, p := range linked {
		pins[p.slot()] = filepath.Join(s.genDir(live), p.pin())
		pins[rowsSlot(p.level)] = filepath.Join(s.genDir(live), rowsPin(p.level))
	}
	for slot := range slotsHalf {
		if err := clearSlot(array, half(live+1)+slot, pins[slot]); err != nil {
			return fmt.Errorf("remove old programs: %w", err)
		}
	}
	return nil
}

// clearSlot puts the program that is pinned under a name into a slot; where there is
// none, it empties the slot.
func clearSlot(array *ebpf.Map, slot uint32, pin string) error {
	if pin != "" {
		prog, err := ebpf.LoadPinnedProgram(pin, nil)
		if err == nil {
			defer prog.Close()
			return array.Put(slot, prog)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := array.Delete(slot); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// hookLinks are all links that are pinned.
func (s *Space) hookLinks() (entries, guards []hookLink, err error) {
	ours, behind, err := s.linked()
	for _, at := range ours {
		entries = append(entries, entryLink(at))
	}
	for _, at := range behind {
		guards = append(guards, guardLink(at))
	}
	return entries, guards, err
}

func (s *Space) removeGenerations(keep uint32) error {
	entries, err := os.ReadDir(s.Pins())
	if err != nil {
		return err
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "gen-")
		number, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || uint32(number) == keep {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.Pins(), e.Name())); err != nil {
			return err
		}
		failpoint.At("generation removed")
	}
	return nil
}

// RemoveAll removes everything of ours in this namespace and family: links, programs,
// maps, pins and the state directory.
func (s *Space) RemoveAll() error {
	if err := s.Unhook(); err != nil {
		return err
	}
	// The pin that says that something is enforced goes first.
	if err := os.Remove(filepath.Join(s.Pins(), abi.NetfilterMapActive)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	failpoint.At("active removed")
	err := errors.Join(s.Close(), os.RemoveAll(s.Pins()))
	failpoint.At("pins removed")
	err = errors.Join(err, os.RemoveAll(s.Dir()))
	failpoint.At("files removed")
	return errors.Join(err, s.leave())
}

// leave removes the directories of the namespace with the last family.
func (s *Space) leave() error {
	_ = os.Remove(filepath.Dir(s.Dir())) // that of the other family is in it
	pins := filepath.Join(pinRoot, s.netns)
	entries, err := os.ReadDir(pins)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), cookiePrefix) && !strings.HasPrefix(e.Name(), lockPrefix) {
			return err
		}
	}
	return errors.Join(err, os.RemoveAll(pins))
}

// Unhook takes our programs off all hooks. A packet that one has noted for netfilter's
// targets gets there: the programs that drop what is left of notes go last.
func (s *Space) Unhook() error {
	entries, guards, err := s.hookLinks()
	if err != nil {
		return err
	}
	for _, some := range [][]hookLink{entries, guards} {
		for _, h := range some {
			if err := s.unlink(h); err != nil {
				return err
			}
		}
		if err := Quiesce(); err != nil {
			return err
		}
	}
	return nil
}

// Quiesce waits until no packet is inside a netfilter hook that began before: hooks
// run in RCU read sections, and membarrier's global command waits for a grace
// period (kernel/sched/membarrier.c).
func Quiesce() error {
	const cmdGlobal = 1
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, cmdGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("membarrier: %w", errno)
	}
	return nil
}
