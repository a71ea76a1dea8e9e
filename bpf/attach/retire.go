package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
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
	for slot, p := range places {
		for pin, h := range map[string]hookLink{p.String(): entryLink(slot), p.table + "-" + leftKind: guardLink(slot)} {
			if _, err := os.Stat(filepath.Join(s.genDir(keep), pin)); err == nil {
				continue
			}
			if err := s.unlink(h); err != nil {
				return err
			}
		}
	}
	if err := s.emptyHalf(keep + 1); err != nil {
		return err
	}
	return s.removeGenerations(keep)
}

// emptyHalf takes the programs of a generation out of the program array.
func (s *Space) emptyHalf(gen uint32) error {
	array, err := s.shared(abi.NetfilterMapProgs)
	if err != nil || array == nil {
		return err
	}
	for slot := uint32(0); slot < slotsHalf; slot++ {
		if err := array.Delete(half(gen) + slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove old programs: %w", err)
		}
	}
	return nil
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
	}
	return nil
}

// RemoveAll removes everything of ours in this namespace and family: links, programs,
// maps, pins and the state directory.
func (s *Space) RemoveAll() error {
	for slot := range places {
		if err := errors.Join(s.unlink(entryLink(slot)), s.unlink(guardLink(slot))); err != nil {
			return err
		}
	}
	if err := Quiesce(); err != nil {
		return err
	}
	errs := []error{s.Close(), os.RemoveAll(s.Pins()), os.RemoveAll(s.Dir())}
	// The directories of the namespace go with the last family.
	_ = os.Remove(filepath.Dir(s.Pins()))
	if other, err := filepath.Glob(filepath.Join(filepath.Dir(s.Dir()), "ipv*")); err == nil && len(other) == 0 {
		errs = append(errs, os.RemoveAll(filepath.Dir(s.Dir())))
	}
	return errors.Join(errs...)
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
