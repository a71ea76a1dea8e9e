package attach

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Links of ours that are pinned nowhere in this mount namespace may be those of another one, in
// which others go on working with them: a container with the network of its host has a /run of
// its own. They count as left over only where a proof is there: the mark beside the state here
// says that they were made here, or processes that are seen here hold them all.

// ElsewhereError says that rules are enforced that others have made, out of sight.
type ElsewhereError struct{ Hooks int }

// Error says where they are to be worked with.
func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("the rules of this network namespace were made in another mount namespace, which is not seen from here: links at %d hooks are pinned there; "+
		"work with them there", e.Hooks)
}

// leftOver says whether links without pins are proven to be left over.
func (s *Space) leftOver(strays []hooked) bool {
	if _, err := os.Stat(s.MarkFile()); err == nil {
		return true
	}
	held := heldLinks()
	for _, l := range strays {
		if !held[l.Link] {
			return false
		}
	}
	return true
}

// heldLinks are the numbers of the links of which processes that are seen have descriptors
// (bpf_link_show_fdinfo(), kernel/bpf/syscall.c).
func heldLinks() map[uint32]bool {
	out := map[uint32]bool{}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well formed
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || !strings.HasPrefix(to, "anon_inode:bpf") {
			continue
		}
		process, number := filepath.Split(fd)
		info, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Clean(process)), "fdinfo", number))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(info)) {
			var id uint32
			if n, _ := fmt.Sscanf(line, "link_id: %d", &id); n == 1 {
				out[id] = true
			}
		}
	}
	return out
}
