package takeover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/compat/whole"
)

// memory is what was taken over, kept beside the state of the family.
type memory struct {
	Phase  phase   `json:"phase"`
	Tables []taken `json:"tables"`
}

// phase says what a killed process was about.
type phase string

const (
	taking phase = "taking" // netfilter may still hold what we enforce, or we nothing
	kept   phase = "taken"
	giving phase = "giving" // netfilter may already hold what we enforce
	given  phase = "given"  // netfilter holds it, and some of ours may be gone
)

// taken is one table.
type taken struct {
	Table   string `json:"table"`
	Variant string `json:"variant"` // of the tool that it came from
	Text    string `json:"text"`    // with counters, as it was then
}

func memoryFile(dir string) string { return filepath.Join(dir, "taken.json") }

// recall reads the memory; nil when nothing was taken over.
func recall(dir string) (*memory, error) {
	data, err := os.ReadFile(memoryFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := &memory{}
	if err == nil {
		err = json.Unmarshal(data, m)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: what was taken over: %w; remove the file, then all rules count as made by bpftables", memoryFile(dir), err)
	}
	return m, nil
}

// write stores the memory as a whole: readers find the old or the new one.
func (m *memory) write(dir string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := whole.Write(memoryFile(dir), data, 0o600); err != nil {
		return fmt.Errorf("remember what is taken over: %w", err)
	}
	return nil
}

// forget removes the memory.
func forget(dir string) error { return whole.Remove(memoryFile(dir)) }

// table finds a table; nil when it was not taken over.
func (m *memory) table(name string) *taken {
	if m == nil {
		return nil
	}
	for i := range m.Tables {
		if m.Tables[i].Table == name {
			return &m.Tables[i]
		}
	}
	return nil
}

// with is the memory with other tables, each in the place of an older one of its name.
func (m *memory) with(p phase, tables []taken) *memory {
	out := &memory{Phase: p, Tables: tables}
	if m == nil {
		return out
	}
	for _, t := range m.Tables {
		if out.table(t.Table) == nil {
			out.Tables = append(out.Tables, t)
		}
	}
	return out
}

// Tables names what was taken over from netfilter and is enforced by us.
func Tables(dir string) ([]string, error) {
	m, err := recall(dir)
	if err != nil || m == nil {
		return nil, err
	}
	var out []string
	for _, t := range m.Tables {
		out = append(out, t.Table)
	}
	return out, nil
}
