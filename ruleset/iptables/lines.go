package iptables

import (
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

// blockSize is how much of a text is read at once: many lines, which then need no
// memory each.
const blockSize = 32 << 10

// lineReader cuts a text into lines.
type lineReader struct {
	in     io.Reader
	err    error  // what ended the reading
	room   []byte // what a block is read into
	block  string // what is not given out yet
	number int
	before int
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{in: r, room: make([]byte, 0, blockSize), number: 1}
}

// next gives the next line; io.EOF after the last.
func (l *lineReader) next() (line, error) {
	end := strings.IndexByte(l.block[:min(len(l.block), chunkMax)], '\n')
	if end < 0 && len(l.block) < chunkMax && l.err == nil {
		l.fill()
		end = strings.IndexByte(l.block[:min(len(l.block), chunkMax)], '\n')
	}
	whole := end >= 0
	if !whole {
		end = min(len(l.block), chunkMax) - 1
		if end < 0 || end < chunkMax-1 && l.err != io.EOF {
			return line{}, l.err
		}
	}
	got := line{text: l.block[:end+1], number: l.number, before: l.before}
	l.block = l.block[end+1:]
	if whole {
		l.number, l.before = l.number+1, 0
	} else {
		l.before += end + 1
	}
	if nul := strings.IndexByte(got.text, 0); nul >= 0 {
		got.text = got.text[:nul] // the rest is lost, as in a C string
	}
	return got, nil
}

// fill reads on until the block holds a chunk or the text ends.
func (l *lineReader) fill() {
	l.room = append(l.room[:0], l.block...)
	for empty := 0; len(l.room) < chunkMax && l.err == nil; {
		n, err := l.in.Read(l.room[len(l.room):cap(l.room)])
		l.room, l.err = l.room[:len(l.room)+n], err
		if empty++; n > 0 {
			empty = 0
		} else if empty == emptyReads && err == nil {
			l.err = io.ErrNoProgress
		}
	}
	l.block = string(l.room)
}

// emptyReads is how often a reader may give nothing and no error.
const emptyReads = 100

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
	kernel           bool // the kernel refuses it: the words as such are right
	said             *Said
}

// as adds what iptables says of a fault.
func (f *fault) as(s *Said) *fault {
	f.said = s
	return f
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
			return dst, &fault{at: start, what: "argument of more than 1023 bytes", fix: "shorten it", said: saidUsage("Parameter too long!")}
		}
		if !keep {
			continue
		}
		if len(dst) == argsMax {
			return dst, &fault{at: start, what: "more than 251 arguments in one line", fix: "split the rule", said: saidUsage("Parser cannot handle more arguments")}
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

// Fields cuts a line of a text that is no rule.
func Fields(line string) []string { return fields(line) }

// Word is an argument in a line of a text.
type Word struct {
	Text   string
	Quoted bool
}

// Words cuts a line with a rule into arguments.
func Words(line string) ([]Word, error) {
	args, f := cutArgs(nil, line, 0)
	if f != nil {
		return nil, f.said
	}
	words := make([]Word, len(args))
	for i, a := range args {
		// What is not quoted stands in the line as it is, without a quote behind it.
		rest, plain := strings.CutPrefix(line[a.at:], a.text)
		words[i] = Word{a.text, !plain || strings.HasPrefix(rest, `"`) || strings.Contains(a.text, `"`)}
	}
	return words, nil
}
