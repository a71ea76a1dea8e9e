package beside

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// The lines of our helpers are empty, the others are as they were, however they come.
func TestNoHelpers(t *testing.T) {
	long := "-A INPUT -m comment --comment " + strings.Repeat("x", 1<<17) + " bpftables\n"
	text := "*nat\n:INPUT ACCEPT [0:0]\n:bpftables12-n-0 - [0:0]\n:bpftablesque - [0:0]\n" +
		"-A INPUT -m bpf --object-pinned /pins/gen-12/a -j bpftables12-n-0\n[1:2] -A bpftables12-n-0 -j ACCEPT\n" +
		long + "-A INPUT -m bpf --object-pinned /mine -j bpftablesque\nCOMMIT"
	want := "*nat\n:INPUT ACCEPT [0:0]\n\n:bpftablesque - [0:0]\n\n\n" + long + "-A INPUT -m bpf --object-pinned /mine -j bpftablesque\nCOMMIT"
	for name, in := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text))} {
		h := newNoHelpers(in, "/pins")
		got, err := io.ReadAll(h)
		if err != nil || string(got) != want || !h.found {
			t.Errorf("%s: %v, found %v:\n%.300s", name, err, h.found, got)
		}
	}
	h := newNoHelpers(iotest.ErrReader(io.ErrUnexpectedEOF), "/pins")
	if _, err := io.ReadAll(h); err != io.ErrUnexpectedEOF || h.found {
		t.Errorf("a reader that fails: %v, found %v", err, h.found)
	}
}
