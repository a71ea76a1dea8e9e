package serve

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// peer is the process of a client.
type peer struct {
	process int // a descriptor of the process
	root    int // one of its root directory
}

var noPeer = peer{-1, -1}

func (p *peer) close() {
	for _, fd := range []int{p.process, p.root} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	*p = noPeer
}

// admit gives the peer, or says why it is not served. A peer gets what it could do itself
// and no more: it must be root with all the rights that the server has, see the same
// processes, and be the same program, so that the results are the same.
func admit(conn int) (peer, error) {
	cred, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return noPeer, fmt.Errorf("peer: %w", err)
	}
	if cred.Uid != 0 {
		return noPeer, fmt.Errorf("user %d is not served; only root is", cred.Uid)
	}
	p := noPeer
	if p.process, err = process(conn, cred); err != nil {
		return noPeer, fmt.Errorf("peer: %w", err)
	}
	proc := fmt.Sprintf("/proc/%d", cred.Pid)
	if err = same(proc, int(cred.Pid)); err == nil {
		p.root, err = unix.Open(proc+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		p.close()
		return noPeer, err
	}
	return p, nil
}

// process gives a descriptor of the process at the other end of a connection. Before Linux
// 6.5 it is that of the process's number, which is the same one unless it has died already.
func process(conn int, cred *unix.Ucred) (int, error) {
	fd, err := unix.GetsockoptInt(conn, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) {
		return unix.PidfdOpen(int(cred.Pid), 0)
	}
	return fd, err
}

// same says in what a process differs from this one, given its directory in /proc.
func same(proc string, pid int) error {
	own := self()
	for _, ns := range []string{"pid", "user"} {
		if of, ok := fileOf(proc + "/ns/" + ns); !ok || of != own.namespaces[ns] {
			return fmt.Errorf("the %s namespace of the server is another one", ns)
		}
	}
	if err := sameRights(pid); err != nil {
		return err
	}
	if !sameProgram(proc+"/exe", own) {
		return errors.New("the server is another version; restart it")
	}
	return nil
}

// fileID tells a file from all others that there are.
type fileID struct{ dev, ino uint64 }

// fileOf is the file that a path leads to.
func fileOf(path string) (fileID, bool) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return fileID{st.Dev, st.Ino}, err == nil
}

// own is what peers are compared with. Nothing of it changes while the process lives.
type own struct {
	namespaces map[string]fileID
	program    fileID
	path       string // of the program when it was started
}

var self = sync.OnceValue(func() *own {
	o := &own{namespaces: map[string]fileID{}}
	for _, ns := range []string{"pid", "user"} {
		o.namespaces[ns], _ = fileOf("/proc/self/ns/" + ns) // without /proc no peer is the same
	}
	o.program, _ = fileOf("/proc/self/exe")
	o.path, _ = os.Readlink("/proc/self/exe")
	return o
})

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

// sameProgram says whether a file is this program: the same file, or a copy of the same build.
func sameProgram(peer string, o *own) bool {
	file, ok := fileOf(peer)
	if ok && (file == o.program || o.installedBeside(file)) {
		return true
	}
	have := ownBuild()
	return len(have) > 0 && bytes.Equal(build(peer), have)
}

// installedBeside says whether a file is the program of faces that was installed with this
// program, which still is the one that its path leads to: the two are of one version.
func (o *own) installedBeside(peer fileID) bool {
	now, there := fileOf(o.path)
	faces, beside := fileOf(filepath.Join(filepath.Dir(o.path), client.Multi))
	return there && beside && now == o.program && faces == peer
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
