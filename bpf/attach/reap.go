package attach

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Reap removes what is left of network namespaces that nothing else refers to: no
// thread is in them, no mount and no open file of any process is one. A pinned link
// alone keeps a namespace, with its interfaces, alive. What cannot be read belongs to a
// process that has just ended, or that has more rights than root has here.
func Reap() error {
	dead, err := suspects()
	if err != nil {
		return err
	}
	// The cheapest proofs of life come first: hosts have many threads and files.
	for _, prove := range []func(suspected){mountedHere, inProcesses, mountedElsewhere, inThreads, inFiles} {
		if len(dead) == 0 {
			return nil
		}
		prove(dead)
	}
	var errs []error
	for inode := range dead {
		errs = append(errs, removeNetns(inode))
	}
	return errors.Join(errs...)
}

// suspected are namespaces, by inode, that have not been seen alive yet.
type suspected map[string]bool

// suspects are the other namespaces that something of ours is left of.
func suspects() (suspected, error) {
	out := suspected{}
	for _, dir := range []string{pinRoot, Root} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if _, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
				out[e.Name()] = true
			}
		}
	}
	own, err := currentNetns()
	delete(out, own)
	return out, err
}

// alive takes the namespace of a link like "net:[4026531840]" off the list.
func (s suspected) alive(link string) {
	if inode, ok := strings.CutPrefix(link, "net:["); ok {
		delete(s, strings.TrimSuffix(inode, "]"))
	}
}

// namespaces takes off those of the processes or threads of a directory. One link is read
// for each of them, nothing is listed: this is done before every change while there are
// other namespaces of ours.
func (s suspected) namespaces(dir string) {
	for _, id := range numbers(dir) {
		if len(s) == 0 {
			return
		}
		if link, err := os.Readlink(dir + "/" + id + "/ns/net"); err == nil {
			s.alive(link)
		}
	}
}

// numbers are the names in a directory of /proc that begin with a digit; none when it
// is gone.
func numbers(dir string) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // what could be read
	return slices.DeleteFunc(names, func(name string) bool { return name[0] < '0' || name[0] > '9' })
}

// links takes off what the links that match a pattern lead to.
func (s suspected) links(pattern string) {
	paths, _ := filepath.Glob(pattern) // the patterns are well formed
	for _, path := range paths {
		if len(s) == 0 {
			return
		}
		if link, err := os.Readlink(path); err == nil {
			s.alive(link)
		}
	}
}

// inProcesses looks at the namespaces of all processes, inThreads at those of all
// their threads, inFiles at those that they hold open.
func inProcesses(s suspected) { s.namespaces("/proc") }

func inThreads(s suspected) {
	for _, pid := range numbers("/proc") {
		if len(s) == 0 {
			return
		}
		s.namespaces("/proc/" + pid + "/task")
	}
}

func inFiles(s suspected) { s.links("/proc/[0-9]*/fd/[0-9]*") }

// mountedHere looks at what is mounted in this mount namespace: "ip netns add" mounts.
func mountedHere(s suspected) { s.mounts("/proc/thread-self/mountinfo") }

// mountedElsewhere looks at all mount namespaces.
func mountedElsewhere(s suspected) {
	paths, _ := filepath.Glob("/proc/[0-9]*/ns/mnt")
	seen := map[string]bool{}
	for _, path := range paths {
		space, err := os.Readlink(path)
		if err != nil || seen[space] || len(s) == 0 {
			continue
		}
		seen[space] = s.mounts(filepath.Join(filepath.Dir(filepath.Dir(path)), "mountinfo"))
	}
}

// mounts takes off what a mountinfo file lists, and says whether it could be read.
func (s suspected) mounts(path string) bool {
	info, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(info)) {
		// The fourth field is the root of the mount in its file system.
		if fields := strings.Fields(line); len(fields) > 3 {
			s.alive(fields[3])
		}
	}
	return true
}
