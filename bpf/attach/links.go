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

// hookLink is one of our links at a hook.
type hookLink struct {
	name     string // among the pins
	slot     int
	priority int32
	load     func(slot int, given map[string]*ebpf.Map) (*ebpf.Program, error)
}

// entryLink is the link through which a hook reaches the live generation.
func entryLink(slot int) hookLink {
	return hookLink{places[slot].String(), slot, places[slot].priority, loadEntry}
}

// guardLink stands behind netfilter's table of the same hook.
func guardLink(slot int) hookLink {
	return hookLink{"guard-" + places[slot].String(), slot, places[slot].priority + 2, loadGuard}
}

// link makes sure that the hooks of all programs of a generation are linked, and
// guarded where its shims stand.
func (g *Generation) link(shims []ShimProgram) error {
	if err := os.MkdirAll(g.space.linkDir(), 0o700); err != nil {
		return err
	}
	for slot, p := range g.progs {
		if p == nil {
			continue
		}
		if err := g.space.attach(entryLink(slot)); err != nil {
			return err
		}
		if !guarded(places[slot].table, shims) {
			continue
		}
		if err := g.space.attach(guardLink(slot)); err != nil {
			return err
		}
	}
	return nil
}

// leftKind is the match that every table with actions has once.
const leftKind = "left"

func guarded(table string, shims []ShimProgram) bool {
	for _, p := range shims {
		if p.Table == table && p.Kind == leftKind {
			return true
		}
	}
	return false
}

// attach makes a link and pins it, unless it is there.
func (s *Space) attach(h hookLink) error {
	path := filepath.Join(s.linkDir(), h.name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	prog, err := h.load(h.slot, s.maps)
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer prog.Close()
	family := link.NetfilterProtocolFamily(link.NetfilterProtoIPv4)
	if s.family == packet.IPv6 {
		family = link.NetfilterProtoIPv6
	}
	l, err := link.AttachNetfilter(link.NetfilterOptions{
		Program: prog, ProtocolFamily: family,
		Hook: link.NetfilterInetHook(places[h.slot].hook), Priority: h.priority,
	})
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("link %s: something else is linked there at priority %d; 'bpftool net' tells what: %w", h.name, h.priority, err)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer l.Close()
	return l.Pin(path)
}

// unlink detaches a link, if it is there.
func (s *Space) unlink(h hookLink) error {
	path := filepath.Join(s.linkDir(), h.name)
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		return fmt.Errorf("detach %s: %w", h.name, err)
	}
	return os.Remove(path)
}
