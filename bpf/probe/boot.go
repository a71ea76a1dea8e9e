package probe

import (
	"strings"
	"sync"

	"github.com/bpftables/bpftables/bpf/plainfile"
)

// Boot names this boot of the kernel (random(4)); "" where it cannot be read, as if there were no other.
var Boot = sync.OnceValue(func() string {
	id, _ := plainfile.Read("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
})
