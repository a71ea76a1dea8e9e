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
	place
	name string // among the pins
	load func(at place, given map[string]*ebpf.Map) (*ebpf.Program, error)
}

// entryLink is the link through which a hook reaches the live generation.
func entryLink(at place) hookLink { return hookLink{at, at.pin(), loadEntry} }

// guardLink stands behind netfilter's table of the same hook; its level is that of the
// table's program.
func guardLink(at place) hookLink { return hookLink{at, guardPrefix + at.pin(), loadGuard} }

// link makes sure that the hooks of all programs of a generation are linked, and
// guarded where its shims stand.
func (g *Generation) link() error {
	if err := os.MkdirAll(g.space.linkDir(), 0o700); err != nil {
		return err
	}
	for _, s := range g.seats {
		if err := g.space.attach(entryLink(s.at)); err != nil {
			return err
		}
		if !s.guard {
			continue
		}
		if err := g.space.attach(guardLink(s.guardAt())); err != nil {
			return err
		}
	}
	return nil
}

// attach makes a link and pins it, unless it is there.
func (s *Space) attach(h hookLink) error {
	path := filepath.Join(s.linkDir(), h.name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	prog, err := h.load(h.place, s.maps)
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer prog.Close()
	l, err := link.AttachNetfilter(s.linkOptions(prog, h.place))
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("link %s: something else is linked there at priority %d; 'bpftool net' tells what: %w", h.name, h.priority, err)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer l.Close()
	return l.Pin(path)
}

// linkOptions are for a program at a place.
func (s *Space) linkOptions(prog *ebpf.Program, at place) link.NetfilterOptions {
	family := link.NetfilterProtocolFamily(link.NetfilterProtoIPv4)
	if s.family == packet.IPv6 {
		family = link.NetfilterProtoIPv6
	}
	return link.NetfilterOptions{
		Program: prog, ProtocolFamily: family, Hook: link.NetfilterInetHook(at.hook), Priority: at.priority,
	}
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
