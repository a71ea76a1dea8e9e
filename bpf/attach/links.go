package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// link makes sure that the hooks of all programs are linked.
func (s *Space) link(progs [slotsHalf]*ebpf.Program) error {
	if err := os.MkdirAll(s.linkDir(), 0o700); err != nil {
		return err
	}
	for slot, p := range progs {
		if p == nil {
			continue
		}
		if err := s.linkSlot(slot); err != nil {
			return fmt.Errorf("link %s: %w", places[slot], err)
		}
	}
	return nil
}

func (s *Space) linkSlot(slot int) error {
	path := filepath.Join(s.linkDir(), places[slot].String())
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	entry, err := loadEntry(slot, s.maps)
	if err != nil {
		return err
	}
	defer entry.Close()
	family := link.NetfilterProtocolFamily(link.NetfilterProtoIPv4)
	if s.family == packet.IPv6 {
		family = link.NetfilterProtoIPv6
	}
	l, err := link.AttachNetfilter(link.NetfilterOptions{
		Program: entry, ProtocolFamily: family,
		Hook: link.NetfilterInetHook(places[slot].hook), Priority: places[slot].priority,
	})
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("something else is linked there at priority %d; 'bpftool net' tells what: %w", places[slot].priority, err)
	}
	if err != nil {
		return err
	}
	defer l.Close()
	return l.Pin(path)
}

// unlink detaches the link of a slot, if there is one.
func (s *Space) unlink(slot int) error {
	path := filepath.Join(s.linkDir(), places[slot].String())
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", places[slot], err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		return fmt.Errorf("detach %s: %w", places[slot], err)
	}
	return os.Remove(path)
}
