package cli

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestRangesOf(t *testing.T) {
	const maps = `00400000-008ef000 r-xp 00000000 fe:00 9978269                            /sbin/bpf tables
008ef000-00d00000 r--p 004ef000 fe:00 9978269                            /sbin/bpf tables
00d00000-00de0000 rw-p 00900000 fe:00 9978269                            /sbin/bpf tables
00de0000-00df0000 rw-p 00000000 00:00 0
7fd51ea87000-7fd51eaad000 r--p 00000000 fe:00 326269                     /lib/libc.so.6
7fd51ea87000-7fd51eaad000 r--s 00000000 fe:00 326269                     /sbin/bpf tables
`
	want := []addresses{{0x400000, 0x8ef000}, {0x8ef000, 0xd00000}}
	if got := rangesOf(maps, "/sbin/bpf tables"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestGiveBackPages goes on afterwards, with less of the program mapped.
func TestGiveBackPages(t *testing.T) {
	if len(programRanges()) == 0 {
		t.Fatal("the program is not found in its own maps")
	}
	before := resident(t)
	giveBackPages()
	if after := resident(t); after == before {
		t.Errorf("%s before and after", after)
	}
}

// resident is the line of /proc/self/status that tells how much of files is mapped.
func resident(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "RssFile:") {
			return line
		}
	}
	t.Skip("this kernel does not tell")
	return ""
}
