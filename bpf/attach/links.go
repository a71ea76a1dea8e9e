package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// hookLink is one of our links at a hook.
type hookLink struct {
	seat
	name string // among the pins
	load func(at seat, given map[string]*ebpf.Map) (*ebpf.Program, error)
}

// entryLink is the link through which a hook reaches the live generation.
func entryLink(at seat) hookLink { return hookLink{at, at.pin(), loadEntry} }

// guardLink stands behind netfilter's table of the same hook; its level is that of the
// table's program.
func guardLink(at seat) hookLink { return hookLink{at, guardPrefix + at.pin(), loadGuard} }

// linked is a link that is to be, with its program.
type linked struct {
	hookLink
	prog *ebpf.Program
}

// wanted are the links that a generation needs.
func (g *Generation) wanted() (out []hookLink) {
	for _, s := range g.guests {
		out = append(out, entryLink(s.at))
		if s.guard {
			out = append(out, guardLink(s.guardAt()))
		}
	}
	return out
}

// unlinked are those of which not even a pin is there.
func (g *Generation) unlinked() (out []linked) {
	for _, h := range g.wanted() {
		if _, err := os.Lstat(filepath.Join(g.space.linkDir(), h.name)); errors.Is(err, fs.ErrNotExist) {
			out = append(out, linked{hookLink: h})
		}
	}
	return out
}

// loaded gives the program of a link that is to be, which the caller closes.
func (g *Generation) loaded(h hookLink) (*ebpf.Program, error) {
	for _, l := range g.links {
		if l.name == h.name {
			return l.prog.Clone()
		}
	}
	return h.load(h.seat, g.space.maps)
}

// link makes sure that the hooks of all programs of a generation are linked, and
// guarded where its shims stand. A link that is pinned may have been detached, or be one of
// another hook: the kernel is asked what is at the hooks.
func (g *Generation) link() error {
	if err := os.MkdirAll(g.space.linkDir(), 0o700); err != nil {
		return err
	}
	var there []hooked
	if entries, err := os.ReadDir(g.space.linkDir()); err != nil || len(entries) > 0 {
		if there, err = g.space.ownLinks(); err != nil {
			return err
		}
	}
	for _, h := range g.wanted() {
		if err := g.space.attach(h, there, g.loaded); err != nil {
			return err
		}
	}
	return nil
}

// needed are the links of an installed generation: its programs are pinned under their
// names.
func (s *Space) needed(gen uint32) (out []hookLink, err error) {
	files, err := os.ReadDir(s.genDir(gen))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		name, guard := strings.CutPrefix(f.Name(), guardPrefix)
		p, ok := parseSeat(name)
		switch {
		case ok && guard:
			out = append(out, guardLink(p))
		case ok:
			out = append(out, entryLink(p))
		}
	}
	return out, nil
}

// Detached names the hooks of an installed generation at which it is not linked, although
// it has rules there: somebody has detached it.
func (s *Space) Detached(gen uint32) (out []string, err error) {
	missing, err := s.detached(gen)
	for _, h := range missing {
		out = append(out, h.name)
	}
	return out, err
}

func (s *Space) detached(gen uint32) (out []hookLink, err error) {
	needed, err := s.needed(gen)
	if err != nil || len(needed) == 0 {
		return nil, err
	}
	// What Claim has read is good for one look: links are made and detached behind that.
	there := s.own(s.links)
	if s.links == nil {
		there, err = s.ownLinks()
	}
	if s.links = nil; err != nil {
		return nil, err
	}
	for _, h := range needed {
		if l, ok := at(there, h); !ok || l.Link != pinnedID(filepath.Join(s.linkDir(), h.name)) {
			out = append(out, h)
		}
	}
	return out, nil
}

// Mend links an installed generation again where it was detached.
func (s *Space) Mend(gen uint32) error {
	missing, err := s.detached(gen)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := s.makeShared(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.linkDir(), 0o700); err != nil {
		return err
	}
	for _, h := range missing {
		load := func(h hookLink) (*ebpf.Program, error) { return h.load(h.seat, s.maps) }
		if err := s.attach(h, nil, load); err != nil {
			return err
		}
	}
	return nil
}

// attach makes a link and pins it, unless there says that the pinned one is at its seat.
func (s *Space) attach(h hookLink, there []hooked, load func(hookLink) (*ebpf.Program, error)) error {
	path := filepath.Join(s.linkDir(), h.name)
	if l, ok := at(there, h); ok && l.Link == pinnedID(path) {
		return nil
	}
	prog, err := load(h)
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer prog.Close()
	l, err := s.linkAt(prog, h.seat)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("link %s: something else is linked there at priority %d; 'bpftool net' tells what: %w", h.name, h.priority, err)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", h.name, err)
	}
	defer l.Close()
	failpoint.At("linked")
	err = repin(l.Pin, path)
	failpoint.At("link pinned")
	return err
}

// leavingFor is how long a link may take to leave its hook that nobody holds any more. Its last descriptor takes it away
// at once, when the last thread of the process has ended, its last pin a little later (bpf_link_put(), kernel/bpf/syscall.c):
// 40 ms at most were seen where sixteen processes wanted two processors, some of whose threads waited for RCU. Once it
// was more than 5 s, for a reason that is not known; more than that is no reason to leave rules down.
const leavingFor = 20 * time.Second

// linkAt links a program at a seat, once a link of ours that is about to leave it is gone.
func (s *Space) linkAt(prog *ebpf.Program, at seat) (link.Link, error) {
	for deadline := time.Now().Add(leavingFor); ; time.Sleep(time.Millisecond) {
		s.links = nil // it is not among them
		l, err := link.AttachNetfilter(s.linkOptions(prog, at))
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return l, err
		}
		if is, asked := s.seated(at); asked != nil || is == ofOthers {
			return nil, err
		}
	}
}

// seated says whose link is at a seat at which none of those is that we have pinned. A link
// whose last pin or descriptor is gone leaves its hook a little later (bpf_link_put(),
// kernel/bpf/syscall.c): it is listed no more, and in the way.
func (s *Space) seated(at seat) (found, error) {
	there, err := s.ownLinks()
	if err != nil {
		return ofOthers, err
	}
	for _, l := range there {
		if !sits(l, at) {
			continue
		}
		ours, err := isOurs(l.Prog)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nothing, nil // it has left meanwhile
		case err != nil || !ours:
			return ofOthers, err
		}
		return leaving, nil
	}
	return nothing, nil
}

// sits says whether a link is at a seat.
func sits(h hooked, at seat) bool { return h.Hook == uint32(at.hook) && h.Priority == at.priority }

// linkOptions are for a program at a seat.
func (s *Space) linkOptions(prog *ebpf.Program, at seat) link.NetfilterOptions {
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
	failpoint.At("detached")
	return os.Remove(path)
}
