package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

const intro = `# Benchmarks

Written by ` + "`make bench`" + ` (conformance/bench), which can also measure parts: ` + "`make bench BENCH=packets,updates`" + `. All figures of a
section come from one run; its date and machine are given. Absolute times change with the machine and with what else it does;
ratios taken in one run hold.

Frames are fed by BPF_PROG_RUN with live frames, 64 at a time, on one processor; the fastest of runs that alternate between the
firewalls counts, measured until none gets faster. Every run is checked against the counters of the rules. "-" is what was not
measured; the reason is below the table.
`

// page writes docs/benchmarks.md.
func (all results) page(w io.Writer) error {
	p := &printer{w: w}
	p.printf("%s\n## Targets\n\n", intro)
	if err := all.targets(p); err != nil {
		return err
	}
	for _, part := range parts {
		if r := all[part.name]; r != nil {
			part.section(p, r)
		}
	}
	return p.err
}

// section is one part with its tables and plots.
func (part *part) section(p *printer, r *result) {
	p.printf("\n## %s\n\n%s\n\nMeasured on %s, %s (`make bench BENCH=%s`).\n\n", part.title, part.about, r.Date, r.Machine, part.name)
	for _, plot := range part.plots {
		p.printf("![%s](plots/%s)\n\n", plot.title, plot.file)
	}
	part.table(p, r)
	for _, note := range part.notes(r) {
		p.printf("\n- %s", note)
	}
	p.printf("\n")
}

func (part *part) table(p *printer, r *result) {
	head, line := "|", "|"
	cellOf := func(text, rule string) { head, line = head+" "+text+" |", line+rule+"|" }
	if part.what != "" {
		cellOf(part.what, "---")
	}
	cellOf("N", "--:")
	for _, title := range part.firewalls {
		cellOf(title, "--:")
	}
	for _, c := range part.ratios {
		cellOf(c.heading, "--:")
	}
	p.printf("%s\n%s\n", head, line)
	for _, row := range r.Rows {
		var words []string
		if part.what != "" {
			words = append(words, row.What)
		}
		words = append(words, fmt.Sprint(row.N))
		for _, title := range part.firewalls {
			words = append(words, part.cell(row.Cells[title]))
		}
		for _, c := range part.ratios {
			words = append(words, ratioText(c.value(row)))
		}
		p.printf("| %s |\n", strings.Join(words, " | "))
	}
}

func (part *part) cell(c cell) string {
	if c.Note != "" || reflect.DeepEqual(c, cell{}) {
		return "-"
	}
	return part.show(c)
}

// notes say why something was not measured, each reason once.
func (part *part) notes(r *result) []string {
	where := map[string][]string{}
	for _, row := range r.Rows {
		for _, title := range part.firewalls {
			if note := row.Cells[title].Note; note != "" {
				key := title + ": " + note
				if n := fmt.Sprint(row.N); !contains(where[key], n) {
					where[key] = append(where[key], n)
				}
			}
		}
	}
	var out []string
	for key, numbers := range where {
		out = append(out, fmt.Sprintf("%s (N = %s)", key, strings.Join(numbers, ", ")))
	}
	sort.Strings(out)
	return out
}

// sort puts rows of the same kind together.
func (r *result) sort() {
	order := map[string]int{}
	for _, row := range r.Rows {
		if _, ok := order[row.What]; !ok {
			order[row.What] = len(order)
		}
	}
	sort.SliceStable(r.Rows, func(i, j int) bool {
		a, b := r.Rows[i], r.Rows[j]
		if a.What != b.What {
			return order[a.What] < order[b.What]
		}
		return a.N < b.N
	})
}

func nanoseconds(c cell) string { return fmt.Sprint(c.Time.Nanoseconds()) }

func timeAndMemory(c cell) string {
	if c.KiB == 0 {
		return short(c.Time)
	}
	return fmt.Sprintf("%s, %d MB", short(c.Time), mega(c.KiB))
}

func mega(kib int64) int64 { return (kib + 1023) / 1024 }

// service shows what a service still does, or how much is dropped.
func service(c cell) string {
	if c.Time > 0 {
		return fmt.Sprintf("%s/s", thousands(1e9/float64(c.Time)))
	}
	text := fmt.Sprintf("%s/s", thousands(c.PerSec))
	if c.PerSec > 0 {
		text += fmt.Sprintf(", %s, %s", short(c.P50), short(c.P99))
	}
	if c.Dropped > 0 {
		text += fmt.Sprintf("; drops %s/s", thousands(c.Dropped))
	}
	return text
}

func thousands(v float64) string {
	if v < 10000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.0fk", v/1000)
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
