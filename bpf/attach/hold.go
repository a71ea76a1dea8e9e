package attach

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Hold keeps the links of a network namespace at their hooks when somebody removes or unmounts
// their pins. A resident process has one: what it holds enforces the rules until they are put
// back. Links that a command of ours detaches are detached all the same.
type Hold struct {
	netns    string
	links    map[packet.Family]map[string]held // by name
	unpinned []held                            // whose pins are gone
}

type held struct {
	link.Link
	id  uint32
	pin uint64 // its inode
}

// HoldOf is a hold of nothing yet.
func HoldOf(netns string) *Hold {
	return &Hold{netns: netns, links: map[packet.Family]map[string]held{}}
}

// Dirs are the directories in which pins come and go that Refresh looks at.
func (h *Hold) Dirs() []string {
	out := []string{filepath.Join(pinRoot, h.netns)}
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		out = append(out, filepath.Join(out[0], family.String()), h.dir(family))
	}
	return out
}

func (h *Hold) dir(family packet.Family) string {
	return filepath.Join(pinRoot, h.netns, family.String(), linksName)
}

// Refresh takes hold of the links that are pinned now, and lets go of those that are at no hook
// any more: our commands detach what they remove.
func (h *Hold) Refresh() error {
	var errs []error
	var unpinned []held
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		gone, err := h.refresh(family)
		unpinned, errs = append(unpinned, gone...), append(errs, err)
	}
	if h.unpinned = append(h.unpinned, unpinned...); len(h.unpinned) == 0 {
		return errors.Join(errs...)
	}
	attached, err := allLinks()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	h.unpinned = slices.DeleteFunc(h.unpinned, func(l held) bool {
		if slices.ContainsFunc(attached, func(a hooked) bool { return a.Link == l.id }) {
			return false
		}
		errs = append(errs, l.Close())
		return true
	})
	return errors.Join(errs...)
}

// refresh takes hold of the links of a family, and gives those that were held and are not
// pinned any more.
func (h *Hold) refresh(family packet.Family) (unpinned []held, err error) {
	files, err := os.ReadDir(h.dir(family))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var errs []error
	before, now := h.links[family], map[string]held{}
	for _, f := range files {
		l, err := hold(filepath.Join(h.dir(family), f.Name()), before[f.Name()])
		switch {
		case err == nil:
			now[f.Name()] = l
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	for name, l := range before {
		if now[name].Link != l.Link {
			unpinned = append(unpinned, l)
		}
	}
	h.links[family] = now
	return unpinned, errors.Join(errs...)
}

// hold opens the link that is pinned under a path, unless it is held.
func hold(path string, was held) (held, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || was.Link != nil && st.Ino == was.pin {
		return was, err
	}
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return held{}, err
	}
	info, err := l.Info()
	if err != nil {
		return held{}, errors.Join(err, l.Close())
	}
	return held{l, uint32(info.ID), st.Ino}, nil
}

// Close lets go of all.
func (h *Hold) Close() error {
	var errs []error
	for _, links := range h.links {
		for _, l := range links {
			errs = append(errs, l.Close())
		}
	}
	for _, l := range h.unpinned {
		errs = append(errs, l.Close())
	}
	clear(h.links)
	h.unpinned = nil
	return errors.Join(errs...)
}
