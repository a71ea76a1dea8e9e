package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

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
