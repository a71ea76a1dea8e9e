package iptables

import (
	"bufio"
	"io"
	"strings"
)

// chunkMax is how much of a line iptables-restore reads at once: its buffer has
// 10240 bytes, one of them for the final NUL. The rest of a longer line is read as
// a line of its own (iptables/iptables-restore.c, fgets).
const chunkMax = 10239

// line is one piece of text as iptables-restore sees it, with its newline.
type line struct {
	text   string
	number int // of the physical line, from 1
	before int // bytes of the physical line before text
}

// lineReader cuts a text into lines.
type lineReader struct {
	in     *bufio.Reader
	number int
	before int
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, chunkMax), number: 1}
}

// next gives the next line; io.EOF after the last.
func (l *lineReader) next() (line, error) {
	chunk, err := l.in.ReadSlice('\n')
	if len(chunk) == 0 {
		return line{}, err
	}
	if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
		return line{}, err
	}
	got := line{text: string(chunk), number: l.number, before: l.before}
	if err == nil {
		l.number, l.before = l.number+1, 0
	} else {
		l.before += len(chunk)
	}
	if nul := strings.IndexByte(got.text, 0); nul >= 0 {
		got.text = got.text[:nul] // the rest is lost, as in a C string
	}
	return got, nil
}

// fields cuts a text at blanks, tabs and newlines, as strtok(s, " \t\n") does.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
}

// arg is one argument of a line.
type arg struct {
	text string
	at   int // where it starts in the line, in bytes
}

// The limits of add_param_to_argv() and add_argv() in iptables/xshared.c. The
// program name, -t and the table are arguments too.
const (
	paramMax = 1023
	argsMax  = 254 - 3
)

// fault is something wrong at a place of a line.
type fault struct {
	at               int
	thing, what, fix string
}

// Error makes a fault an error.
func (f *fault) Error() string { return f.thing + ": " + f.what }

// cutArgs splits a line into arguments, from byte offset from on. A quoted part
// ends its argument, a backslash in quotes takes the next byte as it is, and a quote
// that is not closed reaches to the end of the line: add_param_to_argv() in
// iptables/xshared.c.
func cutArgs(dst []arg, text string, from int) ([]arg, *fault) {
	for i := from; i < len(text); {
		if c := text[i]; c == ' ' || c == '\t' || c == '\n' {
			i++
			continue
		}
		start := i
		for i < len(text) && text[i] != ' ' && text[i] != '\t' && text[i] != '\n' && text[i] != '"' {
			i++
		}
		param, keep := text[start:i], true
		if i < len(text) && text[i] == '"' {
			param, i, keep = quoted(text, start, i)
		}
		if len(param) > paramMax {
			return dst, &fault{at: start, what: "argument of more than 1023 bytes", fix: "shorten it"}
		}
		if !keep {
			continue
		}
		if len(dst) == argsMax {
			return dst, &fault{at: start, what: "more than 251 arguments in one line", fix: "split the rule"}
		}
		dst = append(dst, arg{text: param, at: start})
	}
	return dst, nil
}

// quoted reads an argument that has a quote at quote; keep is false for an empty one
// whose quote is not closed.
func quoted(text string, start, quote int) (param string, end int, keep bool) {
	var b strings.Builder
	b.WriteString(text[start:quote])
	for i := quote + 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
			if i < len(text) {
				b.WriteByte(text[i])
			}
		case c == '"':
			return b.String(), i + 1, true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), len(text), b.Len() > 0
}
