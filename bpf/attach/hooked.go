package attach

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"unsafe"

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
	prog, err := openPin(linksPin())
	if err != nil {
		if noHooks() {
			return nil, nil // the usual answer on a host where nothing is pinned
		}
		prog, err = loadLinks()
	}
	if err != nil {
		return nil, fmt.Errorf("links at the hooks of netfilter: %w", explain(err))
	}
	defer unix.Close(prog)
	out, err := readLinks(prog)
	if err != nil {
		return nil, fmt.Errorf("links at the hooks of netfilter: %w", err)
	}
	return out, nil
}

// linksPin is where the program that tells about links is pinned.
var linksPin = sync.OnceValue(func() string {
	sum := sha256.Sum256(abi.LinksObject())
	return filepath.Join(pinRoot, fmt.Sprintf("links-%x", sum[:8]))
})

// loadLinks loads the program that tells about links, and pins it: to load it, the kernel's
// types have to be read, which takes longer than a small restore.
func loadLinks() (int, error) {
	all, err := linksObject()
	if err != nil {
		return -1, err
	}
	spec, prog := part(all, abi.LinksProgNfLinks)
	loaded, err := load(spec, prog, nil)
	if err != nil {
		return -1, err
	}
	defer loaded.Close()
	_ = loaded.Pin(linksPin()) // the next command loads it again where it cannot be pinned
	return unix.FcntlInt(uintptr(loaded.FD()), unix.F_DUPFD_CLOEXEC, 0)
}

// readLinks runs the iterator once.
func readLinks(prog int) ([]hooked, error) {
	data, err := iterate(prog)
	if err != nil {
		return nil, err
	}
	out := make([]hooked, len(data)/int(unsafe.Sizeof(hooked{})))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(out))), len(data)), data)
	return out, nil
}

// ownLinks are those of the space's namespace and family, whoever made them.
func (s *Space) ownLinks() (out []hooked, err error) {
	all, err := allLinks()
	return s.own(all), err
}

// own are those of some links that are of the space's namespace and family.
func (s *Space) own(all []hooked) (out []hooked) {
	for _, l := range all {
		if strconv.FormatUint(l.Cookie, 10) == s.cookie && l.Family == s.protocol() {
			out = append(out, l)
		}
	}
	return out
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
