package attach

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/thread"
)

// Root holds everything of ours that is not in the kernel alone.
const Root = "/run/bpftables"

// pinRoot is where our bpffs is mounted. The one at /sys/fs/bpf disappears inside
// "ip netns exec", which mounts a fresh /sys.
const pinRoot = Root + "/bpf"

// holder is the /proc directory of the process in whose mount namespace the bpffs must
// be: process 1, or where it may not be looked at (a sandbox), the oldest ancestor.
func holder() string {
	const first, self = "/proc/1", "/proc/thread-self"
	if mountNamespace(first) {
		return first
	}
	best := self
	for pid := os.Getpid(); pid > 1; pid = parent(pid) {
		if dir := fmt.Sprintf("/proc/%d", pid); mountNamespace(dir) {
			best = dir
		}
	}
	return best
}

// outlook is how the thread sees the mount namespace that the bpffs must be in.
type outlook struct {
	holder string // the /proc directory of a process there
	inside bool   // the thread is there, too
}

// look looks from the thread's mount namespace to that of a holder.
func look(holder string) outlook {
	return outlook{holder, sameFile(holder+"/ns/mnt", "/proc/thread-self/ns/mnt")}
}

// stateRoot is Root as the mount namespace has it that the bpffs is in: what belongs to pins
// lies beside them. A process with a /run of its own works on the same rules.
func (o outlook) stateRoot() string {
	if o.inside || sameFile(o.holder+"/root/run", "/run") {
		return Root
	}
	return o.holder + "/root" + Root
}

// stateRoot is that of the calling thread.
func stateRoot() string { return look(holder()).stateRoot() }

// pinsSeen says whether the bpffs is mounted, the same one in both mount namespaces.
func (o outlook) pinsSeen() bool {
	return mounted(pinRoot) && (o.inside || sameFile(pinRoot, o.holder+"/root"+pinRoot))
}

// mountNamespace says whether the mount namespace of a process can be opened.
func mountNamespace(proc string) bool {
	var st unix.Stat_t
	return unix.Stat(proc+"/ns/mnt", &st) == nil
}

// parent is the parent of a process; 0 when it is not known. There may be many to ask: the
// file is read with nothing around it.
func parent(pid int) int {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/stat", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var room [256]byte // the name of a command has at most 64 bytes
	n, err := unix.Read(fd, room[:])
	if err != nil {
		return 0
	}
	// "pid (command) state ppid": a command may contain anything.
	fields := bytes.Fields(room[bytes.LastIndexByte(room[:n], ')')+1 : n])
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return ppid
}

// mounted says whether a path is a bpffs.
func mounted(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && uint32(st.Type) == unix.BPF_FS_MAGIC
}

// mountPins makes our bpffs be there, in the outer mount namespace and in that of the calling
// thread. "ip netns exec" has a mount namespace of its own that is thrown away: what is only
// mounted there would be lost with it.
func (o outlook) mountPins() error {
	if o.pinsSeen() {
		return nil
	}
	if err := os.MkdirAll(pinRoot, 0o700); err != nil {
		return err
	}
	if o.inside {
		return mountBPF()
	}
	// The thread below may begin in another mount namespace: a server's threads are in those of its clients.
	own, err := viewOf("/proc/thread-self")
	if err != nil {
		return err
	}
	defer own.close()
	thread.Do(func() { err = o.mountBoth(own) })
	return err
}

// showPins makes our bpffs be seen in this mount namespace, if it is mounted in the outer
// one. Where it is not there is nothing to see.
func (o outlook) showPins() error {
	if o.inside || !mounted(o.holder+"/root"+pinRoot) {
		return nil
	}
	return o.mountPins()
}

// sameFile compares what two paths lead to.
func sameFile(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// mountBPF mounts a bpffs in the current mount namespace.
func mountBPF() error {
	if err := unix.Mount("bpf", pinRoot, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a bpffs at %s: %w", pinRoot, err)
	}
	return nil
}

// mountBoth mounts the bpffs in the mount namespace of the holder and clones the mount
// into another one. The calling thread stays there.
func (o outlook) mountBoth(own *view) error {
	first, err := viewOf(o.holder)
	if err != nil {
		return fmt.Errorf("outer mount namespace: %w", err)
	}
	defer first.close()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := first.enter(); err != nil {
		return err
	}
	tree, err := clonePins()
	if err != nil {
		return errors.Join(err, own.enter())
	}
	defer unix.Close(tree)
	if err := own.enter(); err != nil {
		return err
	}
	if o.pinsSeen() {
		return nil // it came by propagation
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, pinRoot, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount our bpffs at %s: %w", pinRoot, err)
	}
	return nil
}

// view is what a process sees of the file system: a mount namespace, and its root directory,
// which need not be that of the namespace.
type view struct{ namespace, root *os.File }

// viewOf opens the view of a process, by its directory in /proc.
func viewOf(proc string) (*view, error) {
	namespace, err := os.Open(proc + "/ns/mnt")
	if err != nil {
		return nil, err
	}
	root, err := os.Open(proc + "/root")
	if err != nil {
		return nil, errors.Join(err, namespace.Close())
	}
	return &view{namespace, root}, nil
}

func (v *view) close() {
	v.namespace.Close()
	v.root.Close()
}

// enter gives the view to the thread, which shares its own with no other.
func (v *view) enter() error {
	err := unix.Setns(int(v.namespace.Fd()), unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Fchdir(int(v.root.Fd()))
	}
	if err == nil {
		err = unix.Chroot(".")
	}
	if err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	return nil
}

// clonePins gives a detached copy of the mount, which is made if it is not there.
func clonePins() (int, error) {
	if err := os.MkdirAll(pinRoot, 0o700); err != nil {
		return -1, err
	}
	if !mounted(pinRoot) {
		if err := mountBPF(); err != nil {
			return -1, err
		}
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, pinRoot, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("copy the mount %s: %w", pinRoot, err)
	}
	return tree, nil
}
