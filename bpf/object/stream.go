package object

import (
	"encoding/binary"
	"errors"
)

// writer appends numbers and strings.
type writer struct{ data []byte }

func (w *writer) number(n uint64) { w.data = binary.AppendUvarint(w.data, n) }

func (w *writer) bytes(b []byte) {
	w.number(uint64(len(b)))
	w.data = append(w.data, b...)
}

func (w *writer) text(s string) { w.bytes([]byte(s)) }

// errDamaged is about data that no writer wrote.
var errDamaged = errors.New("the compiled object is damaged; build bpftables again")

// reader reads what a writer appended. After the end it gives zeros, and remembers that.
type reader struct {
	data    []byte
	damaged bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.damaged, r.data = true, nil
		return 0
	}
	r.data = r.data[size:]
	return n
}

// length is a number of things of which each takes at least one byte.
func (r *reader) length() int {
	n := r.number()
	if n > uint64(len(r.data)) {
		r.damaged, r.data = true, nil
		return 0
	}
	return int(n)
}

// bytes are a part of the data: they must not be changed.
func (r *reader) bytes() []byte {
	n := r.length()
	out := r.data[:n:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) err() error {
	if r.damaged {
		return errDamaged
	}
	return nil
}
