package serve

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// admit says why a peer is not served; nil: it is. A peer gets what it could do itself
// and no more: it must be root with all the rights that the server has, see the same
// processes, and be the same program, so that the results are the same.
func admit(conn int) error {
	peer, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if peer.Uid != 0 {
		return fmt.Errorf("user %d is not served; only root is", peer.Uid)
	}
	proc := fmt.Sprintf("/proc/%d", peer.Pid)
	for _, ns := range []string{"pid", "user"} {
		if !sameFile(proc+"/ns/"+ns, "/proc/self/ns/"+ns) {
			return fmt.Errorf("the %s namespace of the server is another one", ns)
		}
	}
	if err := sameRights(int(peer.Pid)); err != nil {
		return err
	}
	if !sameProgram(proc+"/exe", "/proc/self/exe") {
		return errors.New("the server is another version; restart it")
	}
	return nil
}

// sameFile compares what two paths lead to.
func sameFile(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// sameRights refuses a process that lacks a capability that this one has.
func sameRights(pid int) error {
	peer, err := capabilities(pid)
	if err != nil {
		return err
	}
	own, err := capabilities(0)
	if err != nil {
		return err
	}
	if own&^peer != 0 {
		return errors.New("the caller has fewer rights than the server")
	}
	return nil
}

// capabilities are the effective ones of a process; 0 is the calling thread.
func capabilities(pid int) (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(pid)}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capabilities: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// sameProgram says whether two files are one program: the same file, or two copies
// of the same build.
func sameProgram(peer, own string) bool {
	if sameFile(peer, own) {
		return true
	}
	have := ownBuild()
	return len(have) > 0 && bytes.Equal(build(peer), have)
}

var ownBuild = sync.OnceValue(func() []byte { return build("/proc/self/exe") })

// build is what the linker notes about the build of a program; nil when it cannot
// be read.
func build(path string) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	program, err := elf.NewFile(file)
	if err != nil {
		return nil
	}
	note := program.Section(".note.go.buildid")
	if note == nil {
		return nil
	}
	id, err := note.Data()
	if err != nil {
		return nil
	}
	return id
}
