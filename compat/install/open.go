package install

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/probe"
)

// Open gives the host, or with a root the system below that directory, which then is the root of this
// process: programs of that system are run.
func Open(root string, report io.Writer) (*Host, error) {
	h := &Host{Report: report}
	if root != "" {
		if err := unix.Chroot(root); err != nil {
			return nil, fmt.Errorf("%s: it cannot be made the root: %w", root, err)
		}
		if err := os.Chdir("/"); err != nil {
			return nil, err
		}
	}
	for _, dir := range append(beside(root), dirs...) {
		h.Program = filepath.Join(dir, multi)
		if st, err := os.Stat(h.Program); err == nil && st.Mode().IsRegular() {
			return h, nil
		}
	}
	// It may be gone, and its names are to be given back.
	h.Program = filepath.Join(append(beside(root), dirs...)[0], multi)
	return h, nil
}

// beside is where this program is.
func beside(root string) []string {
	self, err := os.Executable()
	if err != nil || root != "" {
		return nil
	}
	return []string{filepath.Dir(strings.TrimSuffix(self, " (deleted)"))}
}

// BuildsImage says why this is no host that enforces rules, but the image of one that is being built;
// "" if it is one.
func BuildsImage() string {
	here, err := rootMount("self")
	if err != nil {
		return "there is no /proc, as when an image is built"
	}
	if first, err := rootMount("1"); err == nil && here != first {
		return "this is a chroot, as when an image is built"
	}
	if has, err := probe.Effective(); err == nil && !has(unix.CAP_NET_ADMIN) {
		return "CAP_NET_ADMIN is missing, as when an image is built"
	}
	return ""
}

// rootMount is what a process has for its root: device and directory of the mount there, "" for a
// chroot into a directory that is no mount (/proc/PID/mountinfo, proc(5)). /proc/1/root says the same to those
// alone who may trace that process.
func rootMount(pid string) (what string, err error) {
	data, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == "/" {
			what = f[2] + " " + f[3] // the last one covers the others
		}
	}
	return what, err
}
