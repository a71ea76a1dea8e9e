package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/bpftables/bpftables/engine/datapath"
)

// stateMissing says what it means that the state of the live generation is not there: it
// lies in another mount namespace, whose rules these are, or its files were removed.
func (e *Engine) stateMissing(generation uint32) error {
	if pid := e.elsewhere(); pid != 0 {
		return fmt.Errorf("the rules of this network namespace were made in another mount namespace, which has their state under its own %s; "+
			"work with them there, as 'nsenter --target %d --mount bpftables status' does", e.data.Dir(), pid)
	}
	return datapath.Lost("%s has no state of generation %d", e.data.Dir(), generation)
}

// elsewhere finds a process of another mount namespace that has a state of this network
// namespace and family; 0: there is none that we may look at.
func (e *Engine) elsewhere() int {
	own, err := os.Readlink("/proc/thread-self/ns/mnt")
	processes, err2 := filepath.Glob("/proc/[0-9]*")
	if err != nil || err2 != nil {
		return 0
	}
	seen := map[string]bool{own: true}
	for _, process := range processes {
		mounts, err := os.Readlink(process + "/ns/mnt")
		if err != nil || seen[mounts] {
			continue
		}
		seen[mounts] = true
		found, err := filepath.Glob(process + "/root" + e.data.Dir() + "/state-*")
		if err != nil || len(found) == 0 {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil {
			return pid
		}
	}
	return 0
}
