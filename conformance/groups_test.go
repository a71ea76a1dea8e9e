package conformance

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

const groupRules = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A OUTPUT -m owner --gid-owner 4000-4999 --suppl-groups
-A OUTPUT -m owner --gid-owner 4000-4999
-A OUTPUT -m owner ! --gid-owner 4000-4999 --suppl-groups
-A OUTPUT -m owner --gid-owner 70000 --suppl-groups
-A OUTPUT -m owner --gid-owner 0 --suppl-groups
-A OUTPUT -m owner --gid-owner 5000-6000 --suppl-groups -j DROP
COMMIT
`

// groupLists are those that senders have.
var groupLists = [][]uint32{nil, {4001}, {1, 2, 3999, 5000}, {3, 70000}, {10, 20, 30, 4999, 70000}}

// TestGroups sends from sockets whose owners have several groups.
func TestGroups(t *testing.T) {
	before, err := unix.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	own := make([]uint32, len(before))
	for i, g := range before {
		own[i] = uint32(g)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer groupsOf(t, own)
	for family, sent := range map[packet.Family]string{
		packet.IPv4: "@udp udp 198.18.0.1:5000 > 198.18.1.2:9", packet.IPv6: "@udp udp [2001:db8:1ab::1]:5000 > [2001:db8:1ab:1::2]:9",
	} {
		p := loaded(t, family, groupRules)
		for _, groups := range groupLists {
			groupsOf(t, groups)
			p.sends(t, sent)
		}
		groupsOf(t, own)
		if want := p.counted(t, family); want.counters[4] == want.counters[5] {
			t.Errorf("%s: no sender had a group beside its own: %v", family, want.counters)
		}
	}
}

// groupsOf gives this thread alone supplementary groups.
func groupsOf(t *testing.T, groups []uint32) {
	t.Helper()
	if _, _, no := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0); no != 0 {
		t.Fatal(no)
	}
}
