package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
)

// mark says which generation was enforced last, in which network namespace. While it is there
// something of ours should be enforced: where nothing is, somebody has removed it.
type mark struct {
	Generation uint32 `json:"generation"`
	Namespace  string `json:"namespace"`
}

// marked reads the mark of this namespace; nil when there is none.
func (e *Engine) marked() *mark {
	data, err := plainfile.Read(e.data.MarkFile())
	if err != nil {
		return nil
	}
	m := &mark{}
	if json.Unmarshal(data, m) != nil || m.Namespace != e.data.Identity() {
		return nil // left by a namespace that had the same number
	}
	return m
}

// mark writes down what is enforced. On a full disk it is not there: then programs that
// somebody removes are not put back, but they are missed where netfilter worked for them.
func (e *Engine) mark(live *Live) {
	want := mark{live.State.Generation, e.data.Identity()}.bytes()
	if have, err := plainfile.Read(e.data.MarkFile()); err != nil || !bytes.Equal(have, want) {
		_ = writeWhole(e.data.MarkFile(), want)
	}
}

// bytes is the mark as it is written. Each change compares that: package json would take longer
// than the rest of it.
func (m mark) bytes() []byte {
	return fmt.Appendf(nil, `{"generation":%d,"namespace":%q}`, m.Generation, m.Namespace)
}

// unmark comes before what is enforced is removed.
func (e *Engine) unmark() error {
	if err := os.Remove(e.data.MarkFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// vanished says, where nothing of ours is enforced, that something should be.
func (e *Engine) vanished() error {
	if m := e.marked(); m != nil {
		return datapath.Removed("the rules are not enforced any more: the programs of generation %d were removed by another program; "+
			"the next change of the rules puts them back, 'bpftables serve' at once", m.Generation)
	}
	// A state without a mark is of a command that was killed before it enforced anything.
	states, err := state.Others(e.data.Dir(), 0)
	if err != nil || len(states) > 0 {
		return err
	}
	has, err := e.data.Status(nil)
	if err != nil || has.Left == "" {
		return nil // where the kernel cannot be asked, nothing is known
	}
	return datapath.Removed("%s", has.Left)
}

// next is the number of the next generation: where nothing is enforced, it is none that has
// left anything.
func (e *Engine) next() (uint32, error) {
	next, err := e.data.Next()
	if err != nil {
		return 0, err
	}
	if now, err := e.data.Enforced(); err != nil || now != 0 {
		return next, err
	}
	states, err := state.Others(e.data.Dir(), 0)
	if err != nil || len(states) == 0 {
		return next, err
	}
	return max(next, slices.Max(states)+1), nil
}
