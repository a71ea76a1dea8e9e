package probe

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// right is a capability that enforcing rules takes (capabilities(7)).
type right struct {
	bit  uint
	name string
	what string
}

var rights = []right{
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "hooks of netfilter"},
	{unix.CAP_BPF, "CAP_BPF", "BPF programs and maps"},
	{unix.CAP_PERFMON, "CAP_PERFMON", "programs that read the kernel's packets and connections"},
}

// ErrRights says that this process lacks capabilities.
var ErrRights = errors.New("capabilities are missing")

// MissingRights names the capabilities that this process lacks, and what for; nil when it
// has all. CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON (bpf_capable() and
// perfmon_capable(), include/linux/capability.h).
func MissingRights() error {
	has, err := Effective()
	if err != nil {
		return err
	}
	var missing []string
	for _, r := range rights {
		if has(r.bit) || r.bit != unix.CAP_NET_ADMIN && has(unix.CAP_SYS_ADMIN) {
			continue
		}
		missing = append(missing, fmt.Sprintf("%s (for %s)", r.name, r.what))
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%w: %s; give them to the program or to its container, or use netfilter's own iptables here", ErrRights, strings.Join(missing, ", "))
}

// Effective gives the capabilities that the kernel looks at.
func Effective() (has func(bit uint) bool, err error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return nil, fmt.Errorf("capabilities: %w", err)
	}
	return func(bit uint) bool { return data[bit/32].Effective>>(bit%32)&1 != 0 }, nil
}

// Refused explains an error of the kernel: where it refused something for want of
// capabilities, those are named.
func Refused(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	if missing := MissingRights(); missing != nil {
		return missing
	}
	return err
}
