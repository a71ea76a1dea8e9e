package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/steady"
)

// EarlyLink says whether and how an interface has the early stage.
type EarlyLink struct {
	Interface string `json:"interface"`
	How       string `json:"how"`           // native, generic or tcx; "" for not at all
	Why       string `json:"why,omitempty"` // reason for none, or for not the first choice
	late      bool   // it came after SyncEarly
}

// earlyWay is one way to attach.
type earlyWay struct {
	name  string
	kind  *earlyKind
	flags link.XDPAttachFlags
}

var (
	wayNative  = earlyWay{"native", earlyXDP, link.XDPDriverMode}
	wayGeneric = earlyWay{"generic", earlyXDP, link.XDPGenericMode}
	wayTCX     = earlyWay{"tcx", earlyTCX, 0}
)

// waysOf are the ways of a mode at an interface, by preference. Generic XDP copies every
// packet that was merged on the way up, and native XDP on a veth switches the
// segmentation offloads of its peer off (veth_xdp_set(), drivers/net/veth.c): packets that
// are not dropped would pay for it, so only those who ask get them.
func waysOf(mode string, l netlink.Link) []earlyWay {
	switch mode {
	case EarlyXDP:
		return []earlyWay{wayNative, wayGeneric}
	case EarlyTCX, EarlyExact:
		return []earlyWay{wayTCX}
	}
	if l.Type() == "veth" {
		return []earlyWay{wayTCX}
	}
	return []earlyWay{wayNative, wayTCX}
}

func (s *Space) earlyLinkDir() string { return filepath.Join(s.sharedEarlyDir(), "links") }

// earlyPin is where the link of an interface is pinned.
func (s *Space) earlyPin(way string, index int) string {
	return filepath.Join(s.earlyLinkDir(), fmt.Sprintf("%d-%s", index, way))
}

// unfit says why an interface cannot have the early stage; "": it can.
func unfit(l netlink.Link) string {
	a := l.Attrs()
	switch {
	case a.EncapType != "ether":
		return "its packets have no Ethernet header"
	case l.Type() == "bridge":
		return "bridges are left to the hooks"
	case a.MasterIndex != 0:
		return fmt.Sprintf("its packets belong to interface %d", a.MasterIndex)
	}
	return ""
}

// syncLinks attaches the early stage to all interfaces that can have it.
func (s *Space) syncLinks(mode string) ([]EarlyLink, error) {
	if err := os.MkdirAll(s.earlyLinkDir(), 0o700); err != nil {
		return nil, err
	}
	links, err := steady.Links()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var out []EarlyLink
	there := map[int]bool{}
	for _, l := range links {
		if l.Attrs().EncapType == "loopback" {
			continue
		}
		there[l.Attrs().Index] = true
		state := EarlyLink{Interface: l.Attrs().Name}
		if state.Why = unfit(l); state.Why == "" {
			state.How, state.Why, err = s.attachEarly(l, waysOf(mode, l))
		} else {
			err = s.detachFrom(l.Attrs().Index, "")
		}
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", state.Interface, err)
		}
		out = append(out, state)
	}
	return out, s.dropLinks(there)
}

// attachEarly makes one interface have the early stage, in the first way that works.
func (s *Space) attachEarly(l netlink.Link, ways []earlyWay) (how, why string, err error) {
	index := l.Attrs().Index
	for _, w := range ways {
		if s.attachedAt(w, index) {
			return w.name, why, s.detachFrom(index, w.name)
		}
	}
	if err := s.detachFrom(index, ""); err != nil {
		return "", "", err
	}
	for _, w := range ways {
		reason := foreignAt(l, w)
		if reason == "" {
			if err = s.attachWay(index, w); err == nil {
				return w.name, why, nil
			}
			reason = fmt.Sprintf("%s: %v", w.name, err)
		}
		if why == "" {
			why = reason
		}
	}
	return "", why, nil
}

// attachedAt says whether our link is at an interface. A pin may be left of another one
// that had the same number: its link is at none.
func (s *Space) attachedAt(w earlyWay, index int) bool {
	l, err := link.LoadPinnedLink(s.earlyPin(w.name, index), nil)
	if err != nil {
		return false
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return false
	}
	if w.kind == earlyTCX {
		tcx := info.TCX()
		return tcx != nil && tcx.Ifindex == uint32(index)
	}
	xdp := info.XDP()
	return xdp != nil && xdp.Ifindex == uint32(index)
}

// foreignAt says what of another owner is where a way would attach.
func foreignAt(l netlink.Link, w earlyWay) string {
	if w.kind == earlyTCX {
		return foreignIngress(l)
	}
	if x := l.Attrs().Xdp; x != nil && x.Attached {
		return fmt.Sprintf("XDP program %d of another owner is attached", x.ProgId)
	}
	return foreignIngress(l)
}

// foreignIngress: programs and filters at the ingress of the interface may change the
// packet before the hooks see it.
func foreignIngress(l netlink.Link) string {
	index := l.Attrs().Index
	q, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: ebpf.AttachTCXIngress})
	if err == nil && len(q.Programs) > 0 {
		return fmt.Sprintf("tcx program %d of another owner is attached", q.Programs[0].ID)
	}
	var filters []netlink.Filter
	err = steady.Routing(func() (err error) { filters, err = netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS); return err })
	if err == nil && len(filters) > 0 {
		return fmt.Sprintf("a tc filter (%s) is attached to its ingress", filters[0].Type())
	}
	return ""
}

func (s *Space) attachWay(index int, w earlyWay) error {
	front, err := s.frontProgram(w.kind)
	if err != nil {
		return err
	}
	defer front.Close()
	var l link.Link
	if w.kind == earlyTCX {
		l, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: front, Attach: ebpf.AttachTCXIngress})
	} else {
		l, err = link.AttachXDP(link.XDPOptions{Interface: index, Program: front, Flags: w.flags})
	}
	if err != nil {
		return err
	}
	defer l.Close()
	failpoint.At("early attached")
	err = l.Pin(s.earlyPin(w.name, index))
	failpoint.At("early pinned")
	return err
}

// frontProgram is what is attached: pinned, as all interfaces have the same.
func (s *Space) frontProgram(kind *earlyKind) (*ebpf.Program, error) {
	path := filepath.Join(s.sharedEarlyDir(), "front-"+kind.name)
	if p, err := ebpf.LoadPinnedProgram(path, nil); err == nil {
		return p, nil
	}
	families, err := s.earlyFamilies(kind)
	if err != nil {
		return nil, err
	}
	defer families.Close()
	p, err := loadFront(kind, map[string]*ebpf.Map{abi.EarlyXdpMapEarlyFamilies: families})
	if err != nil {
		return nil, err
	}
	return p, p.Pin(path)
}

// detachFrom takes the early stage from an interface, except in one way.
func (s *Space) detachFrom(index int, except string) error {
	var errs []error
	for _, w := range []earlyWay{wayNative, wayGeneric, wayTCX} {
		if w.name == except {
			continue
		}
		errs = append(errs, unpinLink(s.earlyPin(w.name, index)))
	}
	return errors.Join(errs...)
}

// unpinLink detaches a pinned link, if it is there.
func unpinLink(path string) error {
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	// The interface may be gone: then nothing is attached any more.
	_ = l.Detach()
	failpoint.At("early detached")
	return os.Remove(path)
}

// dropLinks removes the pins of interfaces that are gone.
func (s *Space) dropLinks(there map[int]bool) error {
	pins, err := filepath.Glob(filepath.Join(s.earlyLinkDir(), "*-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, pin := range pins {
		var index int
		var way string
		if _, err := fmt.Sscanf(filepath.Base(pin), "%d-%s", &index, &way); err == nil && !there[index] {
			errs = append(errs, unpinLink(pin))
		}
	}
	return errors.Join(errs...)
}

// detachEarly leaves all interfaces.
func (s *Space) detachEarly() error { return s.dropLinks(nil) }

// earlyLinks tells what is attached.
func (s *Space) earlyLinks() ([]EarlyLink, error) {
	links, err := steady.Links()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var out []EarlyLink
	for _, l := range links {
		if l.Attrs().EncapType == "loopback" {
			continue
		}
		state := EarlyLink{Interface: l.Attrs().Name, Why: unfit(l)}
		for _, w := range []earlyWay{wayNative, wayGeneric, wayTCX} {
			if s.attachedAt(w, l.Attrs().Index) {
				state.How = w.name
			}
		}
		if state.How == "" && state.Why == "" {
			state.Why = foreignAt(l, wayNative)
		}
		if state.How == "" && state.Why == "" {
			state.late = true
			state.Why = "interface " + strconv.Itoa(l.Attrs().Index) + " came later; any command that changes rules attaches it"
		}
		out = append(out, state)
	}
	return out, nil
}
