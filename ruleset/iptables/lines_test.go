package iptables

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// plainLines cuts a text as fgets() with a buffer of chunkMax+1 bytes does.
func plainLines(text string) (out []line) {
	number, before := 1, 0
	for text != "" {
		end := strings.IndexByte(text, '\n') + 1
		if end == 0 || end > chunkMax {
			end = min(len(text), chunkMax)
		}
		piece := text[:end]
		shown, _, _ := strings.Cut(piece, "\x00")
		out = append(out, line{text: shown, number: number, before: before})
		if strings.HasSuffix(piece, "\n") {
			number, before = number+1, 0
		} else {
			before += len(piece)
		}
		text = text[end:]
	}
	return out
}

func readLines(r io.Reader) (out []line, err error) {
	lines := newLineReader(r)
	for {
		l, err := lines.next()
		if err != nil {
			return out, err
		}
		out = append(out, l)
	}
}

// someText has lines of all lengths around those of the buffers.
func someText(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(30) {
		n := rnd.IntN(40)
		switch rnd.IntN(8) {
		case 0:
			n = chunkMax - 2 + rnd.IntN(4)
		case 1:
			n = blockSize - 2 + rnd.IntN(4)
		case 2:
			n = 2*chunkMax - 2 + rnd.IntN(4)
		}
		for range n {
			b.WriteByte("abcdefghijklmnop\x00"[rnd.IntN(17)])
		}
		b.WriteByte('\n')
	}
	return b.String()[:b.Len()-min(b.Len(), rnd.IntN(2))]
}

func TestLines(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		text := someText(rnd)
		want := plainLines(text)
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text)),
			"halves": iotest.HalfReader(strings.NewReader(text)), "end with data": iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, err := readLines(r)
			if err != io.EOF || len(got) != len(want) {
				t.Fatalf("text %d, %s: %d lines, want %d, %v", i, name, len(got), len(want), err)
			}
			for j := range got {
				if got[j] != want[j] {
					t.Fatalf("text %d, %s: line %d is %q, want %q", i, name, j, got[j].text, want[j].text)
				}
			}
		}
	}
}

// TestLinesOfBrokenReader wants whole lines before the fault of a reader, and no piece of
// a line.
func TestLinesOfBrokenReader(t *testing.T) {
	broken := errors.New("broken")
	got, err := readLines(io.MultiReader(strings.NewReader("one\ntwo\nthr"), iotest.ErrReader(broken)))
	if err != broken || len(got) != 2 || got[1].text != "two\n" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := readLines(idle{}); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

// idle gives neither bytes nor an end.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }
