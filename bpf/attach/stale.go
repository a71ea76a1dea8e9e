package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cookieFile keeps the cookie of the namespace that a directory belongs to. Inode
// numbers of namespaces come again, cookies do not until the next boot.
func (s *Space) cookieFile() string { return filepath.Join(Root, s.netns, "cookie") }

// dropStale removes what a namespace left behind that had the same inode number, and
// marks the directory as this namespace's.
func (s *Space) dropStale() error {
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	was, err := os.ReadFile(s.cookieFile())
	switch {
	case err == nil && string(was) == cookie:
		return nil
	case err == nil:
		err = removeNetns(s.netns)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.cookieFile()), 0o700); err != nil {
		return err
	}
	return os.WriteFile(s.cookieFile(), []byte(cookie), 0o600)
}

// netnsCookie is the unique number of the thread's network namespace.
func netnsCookie() (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return "", fmt.Errorf("cookie of the network namespace: %w", err)
	}
	return strconv.FormatUint(cookie, 10), nil
}

// removeNetns removes all pins and directories of a namespace. Its links go with
// their pins.
func removeNetns(inode string) error {
	return errors.Join(os.RemoveAll(filepath.Join(pinRoot, inode)), os.RemoveAll(filepath.Join(Root, inode)))
}

// Reap removes what is left of network namespaces that nothing else refers to: no
// thread is in them, no mount and no open file of any process is one. A pinned link
// alone keeps a namespace, with its interfaces, alive.
func Reap() error {
	dead := map[string]bool{}
	for _, dir := range []string{pinRoot, Root} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if _, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
				dead[e.Name()] = true
			}
		}
	}
	if own, err := currentNetns(); err == nil {
		delete(dead, own)
	}
	for _, inUse := range []func() []string{threadNamespaces, mountedNamespaces, openNamespaces} {
		if len(dead) == 0 {
			return nil
		}
		for _, inode := range inUse() {
			delete(dead, inode)
		}
	}
	var errs []error
	for inode := range dead {
		errs = append(errs, removeNetns(inode))
	}
	return errors.Join(errs...)
}

// netInode takes the number out of "net:[4026531840]"; "" if it is something else.
func netInode(link string) string {
	inode, ok := strings.CutPrefix(link, "net:[")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(inode, "]")
}

// readLinks gives the namespaces that links lead to. What cannot be read belongs to a
// process that has just ended, or that has more rights than root has here.
func readLinks(pattern string) []string {
	paths, _ := filepath.Glob(pattern) // the patterns are well formed
	var out []string
	for _, path := range paths {
		link, err := os.Readlink(path)
		if err != nil {
			continue
		}
		if inode := netInode(link); inode != "" {
			out = append(out, inode)
		}
	}
	return out
}

// threadNamespaces are the network namespaces of all threads.
func threadNamespaces() []string { return readLinks("/proc/[0-9]*/task/[0-9]*/ns/net") }

// openNamespaces are those that processes hold open.
func openNamespaces() []string { return readLinks("/proc/[0-9]*/fd/[0-9]*") }

// mountedNamespaces are those that are mounted somewhere, as "ip netns add" does.
func mountedNamespaces() []string {
	paths, _ := filepath.Glob("/proc/[0-9]*/ns/mnt")
	seen := map[string]bool{}
	var out []string
	for _, path := range paths {
		space, err := os.Readlink(path)
		if err != nil || seen[space] {
			continue
		}
		info, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(path)), "mountinfo"))
		if err != nil {
			continue
		}
		seen[space] = true
		for line := range strings.Lines(string(info)) {
			// The fourth field is the root of the mount in its file system.
			if fields := strings.Fields(line); len(fields) > 3 {
				if inode := netInode(fields[3]); inode != "" {
					out = append(out, inode)
				}
			}
		}
	}
	return out
}
