// Package box runs scripts that change the host they are run on, on none.
//
// In: a script of bash, and an empty directory. Out: a command that runs it in network, mount and
// process namespaces of its own, with the files of this host and an empty /run. What it writes below /usr, /etc and
// /var is gone afterwards; the rest is the host's. It needs root.
package box

import (
	"fmt"
	"os/exec"
)

// Command gives the command.
func Command(dir, script string) *exec.Cmd {
	begin := fmt.Sprintf("set -e; mount -t tmpfs none %s\n", dir)
	for _, d := range []string{"usr", "etc", "var"} {
		begin += fmt.Sprintf("mkdir %[1]s/%[2]s %[1]s/%[2]s.work; mount -t overlay -o lowerdir=/%[2]s,upperdir=%[1]s/%[2]s,workdir=%[1]s/%[2]s.work none /%[2]s\n", dir, d)
	}
	begin += "mount -t tmpfs -o mode=755 none /run; mkdir -p /run/lock /run/netns; ip link set lo up; set +e\n"
	// The first process of a namespace of processes is a child of the one that makes it: hence -f.
	return exec.Command("unshare", "-m", "-n", "-p", "-f", "--mount-proc", "--propagation", "private", "bash", "-c", begin+script)
}
