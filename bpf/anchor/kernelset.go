package anchor

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// KernelSet is an element of a set of the kernel's ip_set: the set's name, and for each part
// of the element whether it is the packet's source.
type KernelSet struct {
	Name    string // empty: no set
	Sources []bool
}

// changeSets is the target SET, whose sets are found when it is added.
type changeSets struct {
	*expr.Target
	family   packet.Family
	add, del KernelSet
	exist    bool
	timeout  uint32
}

// NoTimeout leaves the time that an element stays to its set (IPSET_NO_TIMEOUT,
// include/linux/netfilter/ipset/ip_set.h).
const NoTimeout = 1<<32 - 1

// ChangeSets adds an element to a set and removes one from another: the target SET, revision 3
// (set_target_v3(), net/netfilter/xt_set.c). An element that is there has its time renewed if
// exist says so.
func ChangeSets(family packet.Family, add, del KernelSet, exist bool, timeout uint32) Rule {
	return Rule{&changeSets{&expr.Target{Name: "SET", Rev: 3}, family, add, del, exist, timeout}}
}

// HoldSet is a rule that no packet meets: while it is there its set cannot be destroyed, as where a rule
// of iptables asks the set (set_match_v4_checkentry(), net/netfilter/xt_set.c).
func HoldSet(family packet.Family, name string) Rule {
	return ChangeSets(family, KernelSet{Name: name, Sources: []bool{true}}, KernelSet{}, false, NoTimeout)
}

// noSet is IPSET_INVALID_ID (include/uapi/linux/netfilter/ipset/ip_set.h).
const noSet = 65535

// prepare fills struct xt_set_info_target_v3 (include/uapi/linux/netfilter/xt_set.h).
func (s *changeSets) prepare(*batch) error {
	var info []byte
	for _, of := range []KernelSet{s.add, s.del, {}} {
		index, flags := uint16(noSet), byte(0)
		if of.Name != "" {
			var err error
			if index, err = setIndex(s.family, of.Name); err != nil {
				return err
			}
		}
		for i, src := range of.Sources {
			if src {
				flags |= 2 << i // IPSET_DIM_ONE_SRC
			}
		}
		info = append(binary.NativeEndian.AppendUint16(info, index), byte(len(of.Sources)), flags)
	}
	var flags uint32
	if s.exist {
		flags = 1 // IPSET_FLAG_EXIST
	}
	info = binary.NativeEndian.AppendUint32(info, flags)
	raw := xt.Unknown(append(binary.NativeEndian.AppendUint32(info, s.timeout), 0, 0, 0, 0))
	s.Info = &raw
	return nil
}

// Questions to ip_set by getsockopt(2) (include/uapi/linux/netfilter/ipset/ip_set.h).
const (
	askSets       = 83    // SO_IP_SET
	askVersion    = 0x100 // IP_SET_OP_VERSION
	askByName     = 8     // IP_SET_OP_GET_FNAME
	setNameLen    = 32    // IPSET_MAXNAMELEN
	nameOfRequest = 12    // behind op, version and family
)

// setIndex is the number of a set in the namespace of the calling thread.
func setIndex(family packet.Family, name string) (uint16, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	version := binary.NativeEndian.AppendUint32(nil, askVersion)
	version = append(version, 0, 0, 0, 0)
	if err := setQuestion(fd, version); err != nil {
		return 0, fmt.Errorf("set %q: this kernel has no ip_set: %w", name, err)
	}
	ask := binary.NativeEndian.AppendUint32(nil, askByName)
	ask = append(ask, version[4:8]...)
	ask = append(ask, make([]byte, 4+setNameLen)...)
	copy(ask[nameOfRequest:len(ask)-1], name)
	if err := setQuestion(fd, ask); err != nil {
		return 0, fmt.Errorf("set %q: %w", name, err)
	}
	index, of := binary.NativeEndian.Uint16(ask[nameOfRequest:]), binary.NativeEndian.Uint32(ask[8:])
	want := uint32(unix.NFPROTO_IPV4)
	if family == packet.IPv6 {
		want = unix.NFPROTO_IPV6
	}
	switch {
	case index == noSet:
		return 0, fmt.Errorf("there is no set %q", name)
	case of != want && of != unix.NFPROTO_UNSPEC:
		return 0, fmt.Errorf("set %q is not for %s", name, family)
	}
	return index, nil
}

// setQuestion sends a request; the answer is in its place then.
func setQuestion(fd int, request []byte) error {
	size := uint32(len(request))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_IP, askSets,
		uintptr(unsafe.Pointer(&request[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return os.NewSyscallError("getsockopt", errno)
	}
	return nil
}
