package caller

import (
	"io"
	"slices"
	"sync"
)

// printed is what a command prints, on both of its outputs.
type printed struct {
	mu   sync.Mutex
	held bool
	kept []piece // in the order in which it was printed
	lost error   // why standard output did not take everything
}

// piece is something that was printed.
type piece struct {
	on   *stream
	text []byte
}

// stream is one of the outputs.
type stream struct {
	io.Writer
	of       *printed
	standard bool // standard output
}

// Write writes, or keeps what is printed.
func (s *stream) Write(p []byte) (int, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if !s.of.held {
		return s.write(p)
	}
	if n := len(s.of.kept); n > 0 && s.of.kept[n-1].on == s {
		s.of.kept[n-1].text = append(s.of.kept[n-1].text, p...)
	} else {
		s.of.kept = append(s.of.kept, piece{s, slices.Clone(p)})
	}
	return len(p), nil
}

func (s *stream) write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil && s.standard && s.of.lost == nil {
		s.of.lost = err
	}
	return n, err
}

// New gives a caller whose outputs can be held.
func New(c Caller) *Caller {
	c.printed = &printed{}
	c.Out, c.Err = &stream{c.Out, c.printed, true}, &stream{c.Err, c.printed, false}
	return &c
}

// Hold keeps what is printed from now on, until Let. Nobody reads the output of a command that
// holds a lock: a pipe that is full, or a terminal that was stopped, would hold it, too.
func (c *Caller) Hold() {
	c.printed.mu.Lock()
	defer c.printed.mu.Unlock()
	c.printed.held = true
}

// Let prints what was kept.
func (c *Caller) Let() {
	c.printed.mu.Lock()
	defer c.printed.mu.Unlock()
	c.printed.held = false
	kept := c.printed.kept
	c.printed.kept = nil
	for _, p := range kept {
		// What cannot be written is told by Lost.
		_, _ = p.on.write(p.text)
	}
}

// Lost says why something that was printed could not be written: what a user asked for is lost
// then.
func (c *Caller) Lost() error {
	c.printed.mu.Lock()
	defer c.printed.mu.Unlock()
	return c.printed.lost
}
