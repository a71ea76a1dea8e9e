package beside

import (
	"bytes"
	"errors"
	"io"
)

// chunk is how much of an input is read at a time.
const chunk = 64 << 10

// Spool reads an input to its end, before the command takes the xtables lock: an input that
// hangs, as a pipe whose writer waits for something else, must not hold the lock for every tool
// of the host. iptables-restore takes it at the first "*table" (iptables/iptables-restore.c), and
// holds it while the rest does not come. What was read is let go as it is read again.
func Spool(in io.Reader) (*Spooled, error) {
	s := &Spooled{}
	for {
		part := make([]byte, chunk)
		n, err := io.ReadFull(in, part)
		if n > 0 {
			s.parts = append(s.parts, part[:n])
			s.Bytes, s.Lines = s.Bytes+n, s.Lines+bytes.Count(part[:n], []byte{'\n'})
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return s, nil
		case err != nil:
			return nil, err
		}
	}
}

// Spooled is what is left of an input.
type Spooled struct {
	parts        [][]byte
	Bytes, Lines int // of all that was read
}

// Read reads on.
func (s *Spooled) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.parts[0])
	if s.parts[0] = s.parts[0][n:]; len(s.parts[0]) == 0 {
		s.parts[0], s.parts = nil, s.parts[1:]
	}
	return n, nil
}
