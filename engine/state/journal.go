package state

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/ruleset"
)

// A batch of the journal is
//
//	length (4) | checksum of the rest (4) | from (4) | to (4) | operations
//
// and leads from one version to another. length counts what is behind the checksum.
const batchHead = 8

// appendBatch appends a batch of operations that are encoded already.
func appendBatch(b []byte, from, to uint32, ops []byte) []byte {
	start := len(b)
	b = le.AppendUint32(b, uint32(8+len(ops)))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(le.AppendUint32(b, from), to)
	b = append(b, ops...)
	le.PutUint32(b[start+4:], checksum(b[start+batchHead:]))
	return b
}

// nextBatch is the batch at the start of a journal; ok is false where none is whole.
func nextBatch(b []byte) (from, to uint32, ops []byte, size int, ok bool) {
	if len(b) < batchHead+8 {
		return 0, 0, nil, 0, false
	}
	n := int(le.Uint32(b))
	if n < 8 || n > len(b)-batchHead {
		return 0, 0, nil, 0, false
	}
	body := b[batchHead:][:n:n]
	if checksum(body) != le.Uint32(b[4:]) {
		return 0, 0, nil, 0, false
	}
	return le.Uint32(body), le.Uint32(body[4:]), body[8:], batchHead + n, true
}

// replay brings the base to a version. What is behind the last batch that counts was left by
// a process that did not live to make it live.
func (s *Store) replay(version uint32) error {
	if s.Version == version {
		return nil
	}
	if err := s.replayUntil(func() bool { return s.Version == version }); err != nil {
		return err
	}
	if s.Version != version {
		return fmt.Errorf("state %s at version %d, asked for %d: %w", basePath(s.dir, s.Generation), s.Version, version, ErrStale)
	}
	return nil
}

// replayAll brings the base to the version of the last batch.
func (s *Store) replayAll() error { return s.replayUntil(func() bool { return false }) }

// replayUntil replays batches until it is done, or there are no more. Those that the base has
// already do not start at the version that is reached.
func (s *Store) replayUntil(done func() bool) error {
	path := journalPath(s.dir, s.Generation)
	journal, err := plainfile.Read(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state: %w", err)
	}
	for at := 0; !done(); {
		from, to, ops, size, ok := nextBatch(journal[at:])
		if !ok {
			return nil
		}
		at += size
		if from != s.Version {
			continue
		}
		if err := s.replayBatch(ops); err != nil {
			return damaged(path, fmt.Sprintf("version %d: %v", to, err))
		}
		s.Version, s.end = to, int64(at)
	}
	return nil
}

func (s *Store) replayBatch(ops []byte) error {
	r := opReader{b: ops}
	for len(r.b) > 0 {
		o := r.op()
		if r.bad {
			return errors.New("damaged")
		}
		if _, err := s.do(&o); err != nil {
			return err
		}
		s.ops++
	}
	return nil
}

// appendBytes appends a length and so many bytes, for opReader.bytes.
func appendBytes[T string | []byte](b []byte, data T) []byte {
	return append(le.AppendUint32(b, uint32(len(data))), data...)
}

// append appends the operation as the journal has it.
func (o *op) append(b []byte) []byte {
	b = append(b, byte(o.kind))
	for _, v := range []uint32{o.table, o.chain, o.at} {
		b = le.AppendUint32(b, v)
	}
	switch o.kind {
	case opInsert, opReplace:
		r := &o.rule
		b = le.AppendUint32(le.AppendUint32(b, r.Slot), r.Row)
		b = le.AppendUint64(le.AppendUint64(b, r.Counters.Packets), r.Counters.Bytes)
		b = appendBytes(appendBytes(b, r.Text), r.Exact)
	case opPolicy, opNewChain, opRename:
		b = appendBytes(b, o.name)
	case opPart:
		b = appendBytes(appendBytes(b, o.name), o.rule.Text)
	case opNewTable:
		b = appendBytes(b, o.name)
		b = le.AppendUint32(b, uint32(len(o.chains)))
		for _, c := range o.chains {
			b = le.AppendUint32(le.AppendUint32(appendBytes(b, c.Name), c.Slot), c.Class)
		}
	case opCounters:
		b = le.AppendUint32(b, uint32(len(o.counters)))
		for _, n := range o.counters {
			b = le.AppendUint64(le.AppendUint64(b, n.Packets), n.Bytes)
		}
	}
	return b
}

// opReader reads operations back.
type opReader struct {
	b   []byte
	bad bool // they end too early
}

// next takes n bytes.
func (r *opReader) next(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return make([]byte, min(n, 8))
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *opReader) u32() uint32 { return le.Uint32(r.next(4)) }

func (r *opReader) counters() ruleset.Counters {
	return ruleset.Counters{Packets: le.Uint64(r.next(8)), Bytes: le.Uint64(r.next(8))}
}

// bytes takes a length and so many bytes.
func (r *opReader) bytes() []byte { return r.next(uint64(r.u32())) }

func (r *opReader) op() op {
	o := op{kind: opKind(r.next(1)[0]), table: r.u32(), chain: r.u32(), at: r.u32()}
	switch o.kind {
	case opInsert, opReplace:
		o.rule = Rule{Slot: r.u32(), Row: r.u32(), Counters: r.counters(), Origin: NoOrigin}
		o.rule.Text = r.bytes()
		if exact := r.bytes(); len(exact) > 0 {
			o.rule.Exact = exact
		}
	case opPolicy, opNewChain, opRename:
		o.name = string(r.bytes())
	case opPart:
		o.name = string(r.bytes())
		o.rule = Rule{Text: r.bytes(), Origin: NoOrigin}
	case opNewTable:
		o.name = string(r.bytes())
		for n := r.u32(); n > 0 && !r.bad; n-- {
			o.chains = append(o.chains, ChainSpec{Name: string(r.bytes()), Slot: r.u32(), Class: r.u32()})
		}
	case opCounters:
		n := r.u32()
		if uint64(n)*16 > uint64(len(r.b)) {
			r.bad = true
			return o
		}
		o.counters = make([]ruleset.Counters, n)
		for i := range o.counters {
			o.counters[i] = r.counters()
		}
	}
	return o
}

// appendJournal puts a batch behind those that count, with one write. What stood
// there is cut off before: it was never live.
func (s *Store) appendJournal(batch []byte) error {
	if int64(len(batch)) > math.MaxUint32 {
		return errors.New("state: more than 4 GiB of changes at once; split them")
	}
	f, err := plainfile.Open(journalPath(s.dir, s.Generation), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	err = f.Truncate(s.end)
	failpoint.At("journal cut")
	if err == nil {
		_, err = f.WriteAt(batch, s.end)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("state: %w", err), f.Truncate(s.end), f.Close())
	}
	return f.Close()
}
