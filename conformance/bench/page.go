package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const intro = `# Benchmarks

Written by ` + "`make bench`" + ` (conformance/bench), all in one run, on %s.

Absolute times change with the machine and with what else it does; ratios taken in one run hold.

## Packets

Nanoseconds for the whole way of a received UDP packet into a host, until it is dropped in INPUT, or accepted
and found by a socket whose buffer is full. The ruleset is N rules ` + "`-s A/32 -p udp --dport P`" + ` of which the last one
matches; with conntrack, ` + "`-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`" + ` comes first and the packet is
NEW. "no rules": nothing at all, or for drops a BPF program of two instructions at the hook. Frames
are fed by BPF_PROG_RUN with live frames, batch %d, on one processor; the fastest of runs that alternate between the
variants, until none gets faster. Every run is checked against the counter of the last rule.

`

// page writes docs/benchmarks.md.
func (r *results) page(w io.Writer) error {
	p := &printer{w: w}
	p.printf(intro, machine(), batch)
	p.printf("| N | verdict | conntrack | no rules | iptables-legacy | iptables-nft | bpftables | bpftables / legacy | bpftables / nft |\n")
	p.printf("|--:|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, row := range r.packets {
		t := row.took
		p.printf("| %d | %s | %s | %d | %d | %d | %d | %.2f | %.2f |\n", row.n, row.verdict(), yesNo(row.conntrack),
			t[none].Nanoseconds(), t[legacy].Nanoseconds(), t[nft].Nanoseconds(), t[ours].Nanoseconds(),
			ratio(t[ours], t[legacy]), ratio(t[ours], t[nft]))
	}
	p.printf("\n## Restore\n\nTime from start to end of the restore command into an empty namespace (the fastest of several), and the\nlargest peak of its resident memory, with N of the same rules and the conntrack rule.\n\n")
	p.printf("| N | iptables-legacy | iptables-nft | bpftables | bpftables / legacy |\n|--:|--:|--:|--:|--:|\n")
	for _, row := range r.restores {
		p.printf("| %d | %s | %s | %s | %s |\n", row.n, row.took[legacy], row.took[nft], row.took[ours], row.ratio())
	}
	p.printf("\n## Targets\n\n")
	r.targets(&listed{p})
	return p.err
}

// targets prints for each target whether it is met.
func (r *results) targets(w io.Writer) {
	const perPacket, perLoad = 1.15, 3.0
	worst := 0.0
	var at packetRow
	for _, row := range r.packets {
		if x := ratio(row.took[ours], row.took[legacy]); row.n <= 10 && x > worst {
			worst, at = x, row
		}
	}
	fmt.Fprintf(w, "packets, N <= 10: at most %.2f of iptables-legacy: %s (worst: %.2f at N = %d, %s, conntrack %s)\n",
		perPacket, met(worst <= perPacket), worst, at.n, at.verdict(), yesNo(at.conntrack))
	for _, row := range r.restores {
		if row.n == 10000 {
			x := ratio(row.took[ours].wall, row.took[legacy].wall)
			fmt.Fprintf(w, "restore of 10000 rules: at most %.2f of iptables-legacy: %s (%.2f)\n", perLoad, met(x <= perLoad), x)
		}
	}
}

// String is "12 ms, 8 MB"; "-" for what was not measured.
func (c cost) String() string {
	if c.wall == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f ms, %d MB", float64(c.wall.Microseconds())/1000, (c.peakKiB+1023)/1024)
}

func (row restoreRow) ratio() string {
	if row.took[legacy].wall == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio(row.took[ours].wall, row.took[legacy].wall))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "not met"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// machine is the kernel and the processors.
func machine() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo") // only a name; without it, the architecture
	for _, line := range strings.Split(string(info), "\n") {
		if name, ok := strings.CutPrefix(line, "model name\t: "); ok {
			model = name
			break
		}
	}
	return fmt.Sprintf("Linux %s, %d processors (%s)", unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), model)
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// listed makes each line a list item.
type listed struct{ *printer }

func (l *listed) Write(b []byte) (int, error) {
	l.printf("- %s", b)
	return len(b), l.err
}
