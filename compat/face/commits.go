package face

import (
	"bytes"
	"io"
)

// commits notes the lines with COMMIT of a text that is read: iptables-restore names that line where
// the kernel refuses a rule.
type commits struct {
	in    io.Reader
	line  int    // that is being read, from 0
	begin []byte // what was read of it, as far as needed
	lines []int
}

const commit = "COMMIT"

// Read reads on.
func (c *commits) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		text, after, whole := bytes.Cut(rest, []byte{'\n'})
		if room := len(commit) + 1 - len(c.begin); room > 0 {
			c.begin = append(c.begin, text[:min(room, len(text))]...)
		}
		rest = after
		if !whole {
			break
		}
		c.line++
		if string(c.begin) == commit {
			c.lines = append(c.lines, c.line)
		}
		c.begin = c.begin[:0]
	}
	return n, err
}

// behind is the first such line behind a line, or the line itself if there is none.
func (c *commits) behind(line int) int {
	for _, l := range c.lines {
		if l > line {
			return l
		}
	}
	return line
}
