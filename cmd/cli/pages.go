package cli

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A page of the program that was used once stays in the process until it ends, with
// fifteen neighbours (do_fault_around(), mm/memory.c): soon that is most of the program,
// half of the memory of a restore. Its steps have little code in common. Pages that are
// given back are found again in the page cache when they are needed.

// giveBackPages unmaps the pages of the program that nobody has written to.
func giveBackPages() {
	for _, r := range programRanges() {
		// What goes wrong costs memory, no more.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_DONTNEED)
	}
}

// addresses is a range of them.
type addresses struct{ from, to uintptr }

// programRanges are where the program is mapped, read-only and from its file.
var programRanges = sync.OnceValue(func() []addresses {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	return rangesOf(string(maps), program)
})

// rangesOf finds the ranges of a file that cannot be written to in the text of
// /proc/self/maps: "00400000-008ef000 r-xp 00000000 fe:00 9978269   /sbin/bpftables".
func rangesOf(maps, file string) (out []addresses) {
	for line := range strings.Lines(maps) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasSuffix(line, " "+file) || fields[1] != "r-xp" && fields[1] != "r--p" {
			continue
		}
		low, high, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseUint(low, 16, strconv.IntSize)
		if err != nil {
			continue
		}
		to, err := strconv.ParseUint(high, 16, strconv.IntSize)
		if err == nil {
			out = append(out, addresses{uintptr(from), uintptr(to)})
		}
	}
	return out
}
