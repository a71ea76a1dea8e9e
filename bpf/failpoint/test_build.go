//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Env names the step at which the process kills itself; with Names, all steps are told.
const (
	Env   = "BPFTABLES_FAILPOINT"
	Names = "?"
)

var steps atomic.Uint32

// At marks a step, and kills the process with SIGKILL if it is the one that Env names.
func At(name string) {
	number := fmt.Sprintf("#%d", steps.Add(1))
	if os.Getenv(Env) == Names {
		fmt.Fprintf(os.Stderr, "step %s %s\n", number, name)
	}
	if want := os.Getenv(Env); want == name || want == number {
		fmt.Fprintf(os.Stderr, "killed at %s %s\n", number, name)
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // until the signal arrives
	}
}
