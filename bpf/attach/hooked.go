package attach

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// hooked is a netfilter link that is attached, in whatever network namespace.
type hooked = abi.LinksNfLink

// linksObject is the C object of the program that tells about links, parsed once.
var linksObject = sync.OnceValues(abi.LoadLinks)

// allLinks asks the kernel for the netfilter links of all namespaces (bpf/links.bpf.c).
func allLinks() ([]hooked, error) {
	prog, err := linksProgram()
	if err != nil {
		return nil, fmt.Errorf("links at the hooks of netfilter: %w", explain(err))
	}
	defer prog.Close()
	out, err := readLinks(prog)
	if err != nil {
		return nil, fmt.Errorf("links at the hooks of netfilter: %w", err)
	}
	return out, nil
}

// linksProgram gives the program that tells about links. It is pinned: to load it, the
// kernel's types have to be read, which takes longer than a small restore.
func linksProgram() (*ebpf.Program, error) {
	sum := sha256.Sum256(abi.LinksObject())
	pin := filepath.Join(pinRoot, fmt.Sprintf("links-%x", sum[:8]))
	if p, err := ebpf.LoadPinnedProgram(pin, nil); err == nil {
		return p, nil
	}
	all, err := linksObject()
	if err != nil {
		return nil, err
	}
	spec, prog := part(all, abi.LinksProgNfLinks)
	loaded, err := load(spec, prog, nil)
	if err != nil {
		return nil, err
	}
	_ = loaded.Pin(pin) // the next command loads it again where it cannot be pinned
	return loaded, nil
}

// readLinks runs the iterator once.
func readLinks(prog *ebpf.Program) (out []hooked, err error) {
	iter, err := link.AttachIter(link.IterOptions{Program: prog})
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	r, err := iter.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		var one hooked
		if err := binary.Read(r, binary.NativeEndian, &one); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
}

// ownLinks are those of the space's namespace and family, whoever made them.
func (s *Space) ownLinks() (out []hooked, err error) {
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if strconv.FormatUint(l.Cookie, 10) == s.cookie && l.Family == s.protocol() {
			out = append(out, l)
		}
	}
	return out, nil
}

// protocol is the number of the family.
func (s *Space) protocol() uint32 {
	if s.family == packet.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// at finds the link at the seat of one of ours: no two can be there.
func at(links []hooked, h hookLink) (hooked, bool) {
	for _, l := range links {
		if sits(l, h.seat) {
			return l, true
		}
	}
	return hooked{}, false
}

// pinnedID is the number of the link that is pinned under a path; 0: none is.
func pinnedID(path string) uint32 {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return 0
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0
	}
	return uint32(info.ID)
}
