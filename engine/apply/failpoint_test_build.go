//go:build failpoints

package apply

import (
	"os"

	"golang.org/x/sys/unix"
)

// FailPointEnv names the step at which the process kills itself.
const FailPointEnv = "BPFTABLES_FAILPOINT"

// failPoint kills the process with SIGKILL at the step that FailPointEnv names.
func failPoint(name string) {
	if os.Getenv(FailPointEnv) == name {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // until the signal arrives
	}
}
