package beside

import (
	"bufio"
	"bytes"
	"io"

	"github.com/bpftables/bpftables/compat/theirs"
)

// noHelpers reads a restore text without the rules that netfilter runs for bpftables, which
// the host's iptables-save prints with the others. Their lines are empty, so that the
// others keep their numbers.
type noHelpers struct {
	in    *bufio.Reader
	pins  string
	ready []byte // what is not given out yet
	room  []byte // that it may lie in
	err   error
	found bool // some were left out
}

func newNoHelpers(in io.Reader, pins string) *noHelpers {
	return &noHelpers{in: bufio.NewReaderSize(in, 1<<16), pins: pins}
}

// Read gives whole lines.
func (h *noHelpers) Read(p []byte) (int, error) {
	for len(h.ready) == 0 && h.err == nil {
		h.fill()
	}
	if len(h.ready) == 0 {
		return 0, h.err
	}
	n := copy(p, h.ready)
	h.ready = h.ready[n:]
	return n, nil
}

// ours is what every line about our helpers contains.
var ours = []byte("bpftables")

// fill makes lines ready: all that are in the buffer, if none of them is about us.
func (h *noHelpers) fill() {
	_, h.err = h.in.Peek(1) // waits for input
	if h.err != nil {
		return
	}
	some, _ := h.in.Peek(h.in.Buffered())
	whole := bytes.LastIndexByte(some, '\n') + 1
	if whole > 0 && !bytes.Contains(some[:whole], ours) {
		h.room = append(h.room[:0], some[:whole]...)
		h.ready = h.room
		_, h.err = h.in.Discard(whole)
		return
	}
	line, err := h.in.ReadBytes('\n')
	h.err = err
	if _, helper := theirs.Helper(string(line), h.pins); helper {
		h.found = true
		line = []byte("\n")
	}
	h.ready = line
}
