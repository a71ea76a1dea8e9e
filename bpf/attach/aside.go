package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/bpf/failpoint"
)

// What another version of bpftables has pinned may be laid out in another way. Then everything
// of the family is set aside as it is, under another name beside the namespace's pins: its
// links go on enforcing the old rules. The new generation is made beside them, like that of
// links whose pins are gone (strays), and they are detached once it is enforced.

// asideNames are where the pins of a family are set aside: more than one where a process was
// killed.
func (s *Space) asideNames() string {
	return filepath.Join(pinRoot, s.netns, "aside-"+s.family.String()+"-")
}

// setAside sets everything of the family aside if makeShared wants it.
func (s *Space) setAside() error {
	if !s.aside {
		return nil
	}
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s%d", s.asideNames(), n)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.Rename(s.Pins(), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set aside what another version of bpftables has made: %w", err)
		}
		s.aside = false
		failpoint.At("set aside")
		return nil
	}
}

// removeAside removes what was set aside. Its links are detached.
func (s *Space) removeAside() error {
	all, err := filepath.Glob(s.asideNames() + "*")
	for _, dir := range all {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
