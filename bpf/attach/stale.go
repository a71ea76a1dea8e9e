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

	"github.com/bpftables/bpftables/bpf/failpoint"
)

// cookiePrefix begins the name of a directory beside the pins of a namespace, which says by
// its cookie whose they are: inode numbers of namespaces come again, cookies do not until the
// next boot. The name is there whole or not at all, and as long as the pins are.
const cookiePrefix = "cookie-"

// cookiesOf are the cookies that stand beside the pins of a namespace.
func cookiesOf(netns string) (out []string, err error) {
	entries, err := os.ReadDir(filepath.Join(pinRoot, netns))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if cookie, ok := strings.CutPrefix(e.Name(), cookiePrefix); ok {
			out = append(out, cookie)
		}
	}
	return out, nil
}

// foreign says whether what lies under the number of this namespace is of another one,
// that had the same inode and is gone. No cookie is no proof of that.
func (s *Space) foreign() (bool, error) {
	cookies, err := cookiesOf(s.netns)
	if err != nil {
		return false, err
	}
	for _, c := range cookies {
		if c != s.cookie {
			return true, nil
		}
	}
	return false, nil
}

// mark writes down whose the pins are.
func (s *Space) mark() error {
	if err := os.Mkdir(filepath.Join(pinRoot, s.netns, cookiePrefix+s.cookie), 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
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

// removeNetns removes all pins and directories of a namespace that is gone. Its links go
// with their pins. What tells whose they are goes last.
func removeNetns(inode string) error {
	pins := filepath.Join(pinRoot, inode)
	errs := []error{os.RemoveAll(filepath.Join(stateRoot(), inode))}
	failpoint.At("namespace files removed")
	entries, err := os.ReadDir(pins)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(append(errs, err)...)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), cookiePrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(pins, e.Name())))
			failpoint.At("namespace pins removed")
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(pins)
}
