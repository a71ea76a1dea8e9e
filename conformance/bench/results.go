package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cell is what was measured of one firewall in one row; a Note says why nothing was.
type cell struct {
	Time    time.Duration `json:"ns,omitempty"` // of one packet or one command
	KiB     int64         `json:"kib,omitempty"`
	PerSec  float64       `json:"perSec,omitempty"`
	P50     time.Duration `json:"p50,omitempty"`
	P99     time.Duration `json:"p99,omitempty"`
	Dropped float64       `json:"dropped,omitempty"` // attack packets per second
	Note    string        `json:"note,omitempty"`
	// Runs are the times with the rules loaded anew each time, run by run beside the other
	// firewalls; Time is their median then.
	Runs []time.Duration `json:"runs,omitempty"`
}

// median is the middle of some times.
func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// row is one ruleset, or one command, with all firewalls.
type row struct {
	What  string          `json:"what"`
	N     int             `json:"n"`
	Cells map[string]cell `json:"cells"`
}

// result is one run of one part.
type result struct {
	Date    string `json:"date"`
	Machine string `json:"machine"`
	Rows    []*row `json:"rows"`
}

func newRow(what string, n int) *row { return &row{what, n, map[string]cell{}} }

// add appends a row and returns it.
func (r *result) add(what string, n int) *row {
	row := newRow(what, n)
	r.Rows = append(r.Rows, row)
	return row
}

// row is that of a name and N; nil: there is none.
func (r *result) row(what string, n int) *row {
	if r != nil {
		for _, row := range r.Rows {
			if row.What == what && row.N == n {
				return row
			}
		}
	}
	return nil
}

// at is a row's cell; nothing if it was not measured.
func (r *result) at(what string, n int, firewall string) cell {
	if row := r.row(what, n); row != nil {
		return row.Cells[firewall]
	}
	return cell{}
}

// results are the last runs of all parts.
type results map[string]*result

const dataFile = "benchmarks.json"

// readResults reads what earlier runs left in a directory; "" has nothing.
func readResults(dir string) (results, error) {
	known := results{}
	if dir == "" {
		return known, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, dataFile))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	return known, json.Unmarshal(text, &known)
}

func (all results) write(dir string) error {
	if dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, dataFile), append(text, '\n'), 0o644)
}

// publish writes page and plots, and says which targets are met.
func (all results) publish(dir string, progress io.Writer) error {
	if dir == "" {
		return all.page(os.Stdout)
	}
	f, err := os.Create(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		return err
	}
	if err := errors.Join(all.page(f), f.Close(), all.draw(dir)); err != nil {
		return err
	}
	return all.targets(&printer{w: progress})
}
