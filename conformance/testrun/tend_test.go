package testrun

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// waiting is a datapath in which something happens while the engine waits for packets.
type waiting struct {
	datapath.Datapath
	meanwhile func()
}

// Quiesce lets it happen, once.
func (w *waiting) Quiesce() error {
	do := w.meanwhile
	w.meanwhile = func() {}
	do()
	return w.Datapath.Quiesce()
}

// A command that takes dead rows out of the lists while Tend waits leaves them to the next one: packets that
// have come since may stand on them.
func TestTendBesideCommand(t *testing.T) {
	b := newBox(t)
	f := packet.IPv4
	var rules strings.Builder
	rules.WriteString("*filter\n")
	for i := range 40 {
		fmt.Fprintf(&rules, "-A INPUT -s 192.0.2.%d -j DROP\n", i)
	}
	b.must(b.engines[f].Restore(&apply.Request{Text: strings.NewReader(rules.String() + "COMMIT\n"), File: "test"}))
	for range 20 {
		b.argv(f, "-D", "INPUT", "1")
	}
	unlinked := func() uint32 {
		d, err := b.kernel.Open(f)
		b.must(err)
		gen, err := d.Current()
		b.must(err)
		defer gen.Close()
		classes, err := gen.Classes()
		b.must(err)
		defer classes.Close()
		return classes.Rows().Unlinked()
	}
	atOnce := func(do func() error) error { return do() }
	server, err := apply.Open(f, func(family packet.Family) (datapath.Datapath, error) {
		d, err := b.kernel.Open(family)
		return &waiting{d, func() { b.must(b.engines[f].Tend(atOnce)) }}, err
	})
	b.must(err)
	defer server.Close()
	b.must(server.Tend(atOnce))
	if unlinked() == 0 {
		t.Error("rows that were taken out of the lists meanwhile are free")
	}
}
