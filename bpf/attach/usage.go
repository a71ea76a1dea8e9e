package attach

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/maps"
)

// Usage is what one family's generation takes in the kernel.
type Usage struct {
	Programs     int
	Instructions int // of the programs of the hooks, as verified
	Maps         int
	Bytes        uint64 // memory of maps and programs
	Hooks        []string
}

// Usage adds up what is pinned in the space.
func (s *Space) Usage() (*Usage, error) {
	live, err := s.live()
	if err != nil || live == 0 {
		return &Usage{}, err
	}
	u := &Usage{}
	linked, _, err := s.linked()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(linked, func(a, b seat) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.hook, b.hook))
	})
	for _, p := range linked {
		if err := u.addProgram(filepath.Join(s.genDir(live), p.pin()), p.String()); err != nil {
			return nil, err
		}
	}
	for _, name := range sharedMaps {
		if err := u.addMap(filepath.Join(s.Pins(), name)); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(s.genDir(live))
	if err != nil {
		return nil, err
	}
	spec, err := datapath()
	if err != nil {
		return nil, fmt.Errorf("datapath: %w", err)
	}
	for _, e := range entries {
		if spec.Maps[e.Name()] == nil && !maps.IsSetPin(e.Name()) {
			continue
		}
		if err := u.addMap(filepath.Join(s.genDir(live), e.Name())); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func (u *Usage) addProgram(path, hook string) error {
	p, err := ebpf.LoadPinnedProgram(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	u.Programs++
	u.Hooks = append(u.Hooks, hook)
	// Not p.Info(): that copies the instructions, and the kernel fails to for a
	// program of some megabytes (bpf_insn_prepare_dump(), kernel/bpf/syscall.c).
	return u.addFDInfo(p.FD())
}

// addFDInfo adds what bpf_prog_show_fdinfo() (kernel/bpf/syscall.c) tells of a program.
func (u *Usage) addFDInfo(fd int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		if err != nil {
			continue // other lines hold no numbers
		}
		switch name {
		case "memlock":
			u.Bytes += n
		case "verified_insns":
			u.Instructions += int(n)
		}
	}
	return nil
}

func (u *Usage) addMap(path string) error {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return err
	}
	u.Maps++
	if n, ok := info.Memlock(); ok {
		u.Bytes += n
	}
	return nil
}
