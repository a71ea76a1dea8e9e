package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/bpftables/bpftables/bpf/abi"
)

// Netns is the inode of the network namespace of the calling thread, by which Root and
// the other functions name it.
func Netns() (string, error) { return currentNetns() }

// Cookie is the number of the network namespace of the calling thread. Inodes of
// namespaces come again, cookies do not.
func Cookie() (string, error) { return netnsCookie() }

// MarkFile is the file that the user of the space writes while something is enforced: where
// there is nothing pinned then, somebody has removed it.
func (s *Space) MarkFile() string { return filepath.Join(s.Dir(), markName) }

const markName = "enforced"

// Occupied are the network namespaces in which something of ours is pinned, or should be.
func Occupied() ([]string, error) {
	var out []string
	for _, root := range []string{pinRoot, stateRoot()} {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			_, err := strconv.ParseUint(e.Name(), 10, 64)
			if err == nil && !slices.Contains(out, e.Name()) && Occupies(e.Name()) {
				out = append(out, e.Name())
			}
		}
	}
	return out, nil
}

// Occupies says whether something of ours is pinned in a network namespace, or should be.
func Occupies(netns string) bool {
	if _, err := os.Stat(filepath.Join(pinRoot, netns)); err == nil {
		return true
	}
	marks, err := filepath.Glob(filepath.Join(stateRoot(), netns, "*", markName))
	return err == nil && len(marks) > 0
}

// Find opens a network namespace that a mount in this mount namespace or a thread of
// any process is in; nil when there is none.
func Find(netns string) (*os.File, error) {
	link := "net:[" + netns + "]"
	info, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(info)) {
		// The fourth field is the root in the file system, the fifth the mount point.
		if f := strings.Fields(line); len(f) > 4 && f[3] == link {
			if ns := openNetns(unescape(f[4]), netns); ns != nil {
				return ns, nil
			}
		}
	}
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/proc/[0-9]*/task/[0-9]*/ns/net"} {
		paths, _ := filepath.Glob(pattern) // the patterns are well formed
		for _, path := range paths {
			if to, err := os.Readlink(path); err != nil || to != link {
				continue
			}
			if ns := openNetns(path, netns); ns != nil {
				return ns, nil
			}
		}
	}
	return nil, nil
}

// openNetns opens a namespace, if it still is the one that is looked for.
func openNetns(path, netns string) *os.File {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	if st, err := f.Stat(); err != nil || inode(st) != netns {
		f.Close()
		return nil
	}
	return f
}

// unescape reads a path of mountinfo, where blanks are octal numbers (mangle(),
// fs/proc_namespace.c).
func unescape(path string) string {
	for _, c := range []string{" ", "\t", "\n", `\`} {
		path = strings.ReplaceAll(path, fmt.Sprintf(`\%03o`, c[0]), c)
	}
	return path
}

// Fresh says whether the maps that are held open are still those of the namespace, so
// that the space may be used again. A space that holds none open is not fresh. Inodes of
// pins do not come again (get_next_ino(), fs/inode.c).
func (s *Space) Fresh() bool {
	pin := s.pins[abi.NetfilterMapActive]
	return pin != 0 && s.maps[abi.NetfilterMapActive] != nil && s.pin(abi.NetfilterMapActive) == pin
}

// inode is the number of a file, in decimal.
func inode(st fs.FileInfo) string {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(sys.Ino, 10)
}
