package conformance

import (
	"strings"
)

// saved is the text of iptables-save -c, taken apart.
type saved struct {
	lines    []string // without counters and comments
	counters []string // by line: "packets:bytes", empty where there is none
}

// readSaved reads the text of iptables-save -c.
func readSaved(text string) saved {
	var s saved
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		counter := ""
		switch line[0] {
		case '[': // [1:2] -A INPUT ...
			if i := strings.IndexByte(line, ']'); i > 0 {
				counter, line = line[1:i], strings.TrimPrefix(line[i+1:], " ")
			}
		case ':': // :INPUT ACCEPT [1:2]
			if i := strings.LastIndex(line, " ["); i > 0 {
				counter, line = strings.TrimSuffix(line[i+2:], "]"), line[:i]
			}
		}
		s.lines = append(s.lines, line)
		s.counters = append(s.counters, counter)
	}
	return s
}

// tables splits the lines by table.
func (s saved) tables() map[string]saved {
	out := map[string]saved{}
	name := ""
	for i, line := range s.lines {
		if n, ok := strings.CutPrefix(line, "*"); ok {
			name = n
		}
		t := out[name]
		t.lines, t.counters = append(t.lines, line), append(t.counters, s.counters[i])
		out[name] = t
	}
	return out
}

// compareSaved compares the text line by line and the counters of equal lines;
// counted is how many counters were compared.
func compareSaved(ref, ours saved) (diffs []Difference, counted int) {
	refTables, ourTables := ref.tables(), ours.tables()
	for name, want := range refTables {
		got, ok := ourTables[name]
		if !ok {
			diffs = append(diffs, Difference{Kind: "text", Where: name, Reference: "the table", Ours: "no such table"})
			continue
		}
		d, n := compareTable(name, want, got)
		diffs, counted = append(diffs, d...), counted+n
	}
	for name := range ourTables {
		if _, ok := refTables[name]; !ok {
			diffs = append(diffs, Difference{Kind: "text", Where: name, Reference: "no such table", Ours: "the table"})
		}
	}
	return diffs, counted
}

func compareTable(name string, want, got saved) (diffs []Difference, counted int) {
	for i := range max(len(want.lines), len(got.lines)) {
		w, g := "nothing", "nothing"
		if i < len(want.lines) {
			w = want.lines[i]
		}
		if i < len(got.lines) {
			g = got.lines[i]
		}
		if w != g {
			// What follows is shifted: one difference says it all.
			return append(diffs, Difference{Kind: "text", Where: name, Reference: w, Ours: g}), counted
		}
		if want.counters[i] == "" {
			continue
		}
		counted++
		if want.counters[i] != got.counters[i] {
			diffs = append(diffs, Difference{Kind: "counter", Where: name + " " + w, Index: i, Reference: want.counters[i], Ours: got.counters[i]})
		}
	}
	return diffs, counted
}
