package state

import (
	"encoding/binary"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// layoutVersion changes with everything in this file and with the journal.
const layoutVersion = 4

const (
	magic       = "bpftstat"
	checksumAt  = 12
	checkedFrom = 16 // where the bytes of the checksum begin
	textSumAt   = 68
)

// Sizes of the records.
const (
	headerSize = 72
	tableSize  = 24
	chainSize  = 52
	ruleSize   = 40
	hashSize   = 8
)

var le = binary.LittleEndian

// header is the start of a base file.
//
//	 0 magic          24 generation         40 flags    56 rules
//	 8 layout         28 version            44 family   60 bytes of names
//	12 checksum       32 previous           48 tables   64 bytes of extra
//	16 size of all    36 previous version   52 chains   68 checksum of texts
//
// The first checksum is that of all bytes behind it but the texts, which have one of
// their own: most commands do not look at them, and need not pay for reading them.
type header struct {
	Head
	size                  uint64
	tables, chains, rules int
	names, extra          int
	textSum               uint32

	chainsAt, rulesAt, hashesAt, namesAt, textsAt, extraAt int
}

const (
	flagConntrack = 1 << iota
	flagCarried
)

func (h *header) append(b []byte) []byte {
	b = append(b, magic...)
	for _, v := range []uint32{layoutVersion, 0} {
		b = le.AppendUint32(b, v)
	}
	b = le.AppendUint64(b, h.size)
	var flags uint32
	if h.Conntrack {
		flags |= flagConntrack
	}
	if h.Carried {
		flags |= flagCarried
	}
	for _, v := range []uint32{
		h.Generation, h.Version, h.Previous, h.PreviousVersion, flags, uint32(h.Family),
		uint32(h.tables), uint32(h.chains), uint32(h.rules), uint32(h.names), uint32(h.extra), h.textSum,
	} {
		b = le.AppendUint32(b, v)
	}
	return b
}

// lay computes where the sections are.
func (h *header) lay() {
	h.chainsAt = headerSize + h.tables*tableSize
	h.rulesAt = h.chainsAt + h.chains*chainSize
	h.hashesAt = h.rulesAt + h.rules*ruleSize
	h.namesAt = h.hashesAt + h.rules*hashSize
	h.textsAt = h.namesAt + h.names
	h.extraAt = int(h.size) - h.extra
}

// readHeader reads the header of a file and checks the file against it.
func readHeader(path string, data []byte) (*header, error) {
	if len(data) < headerSize || string(data[:8]) != magic {
		return nil, damaged(path, "this is no state")
	}
	if v := le.Uint32(data[8:]); v != layoutVersion {
		return nil, damaged(path, fmt.Sprintf("written by another version of bpftables (layout %d, not %d)", v, layoutVersion))
	}
	u := func(at int) uint32 { return le.Uint32(data[at:]) }
	h := &header{
		Head: Head{
			Family: packet.Family(u(44)), Generation: u(24), Version: u(28), Previous: u(32), PreviousVersion: u(36),
			Conntrack: u(40)&flagConntrack != 0, Carried: u(40)&flagCarried != 0,
		},
		size: le.Uint64(data[16:]), tables: int(u(48)), chains: int(u(52)), rules: int(u(56)),
		names: int(u(60)), extra: int(u(64)), textSum: u(textSumAt),
	}
	if h.size != uint64(len(data)) {
		return nil, damaged(path, fmt.Sprintf("%d bytes long, not %d", len(data), h.size))
	}
	h.lay()
	if h.textsAt > h.extraAt || checksum(data[checkedFrom:h.textsAt], data[h.extraAt:]) != u(checksumAt) {
		return nil, damaged(path, wrongSum)
	}
	return h, nil
}

const wrongSum = "damaged: its checksum is another one"

// tableRecord is a table: its name, what it says, and its chains.
type tableRecord struct {
	nameAt, nameLen, flags, shims, first, chains uint32
}

const tableInBPF = 1

func (t *tableRecord) append(b []byte) []byte {
	for _, v := range []uint32{t.nameAt, t.nameLen, t.flags, t.shims, t.first, t.chains} {
		b = le.AppendUint32(b, v)
	}
	return b
}

func readTable(b []byte) tableRecord {
	return tableRecord{
		nameAt: le.Uint32(b), nameLen: le.Uint32(b[4:]), flags: le.Uint32(b[8:]), shims: le.Uint32(b[12:]),
		first: le.Uint32(b[16:]), chains: le.Uint32(b[20:]),
	}
}

// chainRecord is a chain: its name, its policy, and its rules.
type chainRecord struct {
	nameAt, nameLen, policy, slot uint32
	origin                        Origin
	first, rules                  uint32
	counters                      ruleset.Counters
	class                         uint32
}

// policies are the policies by their numbers in files.
var policies = []string{"", "ACCEPT", "DROP"}

func (c *chainRecord) append(b []byte) []byte {
	for _, v := range []uint32{c.nameAt, c.nameLen, c.policy, c.slot, c.origin.Chain, c.origin.Rule, c.first, c.rules} {
		b = le.AppendUint32(b, v)
	}
	return le.AppendUint32(le.AppendUint64(le.AppendUint64(b, c.counters.Packets), c.counters.Bytes), c.class)
}

func readChain(b []byte) chainRecord {
	return chainRecord{
		nameAt: le.Uint32(b), nameLen: le.Uint32(b[4:]), policy: le.Uint32(b[8:]), slot: le.Uint32(b[12:]),
		origin: Origin{le.Uint32(b[16:]), le.Uint32(b[20:])}, first: le.Uint32(b[24:]), rules: le.Uint32(b[28:]),
		counters: ruleset.Counters{Packets: le.Uint64(b[32:]), Bytes: le.Uint64(b[40:])}, class: le.Uint32(b[48:]),
	}
}

// hasExact in the length of a rule's text says that the text has the length of the exact
// words, in four bytes, and the words behind it.
const hasExact = 1 << 31

// textMax is the longest text of a rule.
const textMax = hasExact - 1

// appendText appends the texts of a rule.
func appendText(b []byte, r *Rule) []byte {
	b = append(b, r.Text...)
	if r.Exact != nil {
		b = append(le.AppendUint32(b, uint32(len(r.Exact))), r.Exact...)
	}
	return b
}

// appendRule appends the record of a rule whose text is at a place of the texts.
func appendRule(b []byte, r *Rule, textAt uint32) []byte {
	size := uint32(len(r.Text))
	if r.Exact != nil {
		size |= hasExact
	}
	b = le.AppendUint32(b, textAt)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, r.Slot)
	b = le.AppendUint32(b, r.Row)
	b = le.AppendUint64(b, r.Counters.Packets)
	b = le.AppendUint64(b, r.Counters.Bytes)
	b = le.AppendUint32(b, r.Origin.Chain)
	return le.AppendUint32(b, r.Origin.Rule)
}

// readRule reads a record.
func readRule(b, texts []byte) Rule {
	b = b[:ruleSize:ruleSize]
	at, size := le.Uint32(b), le.Uint32(b[4:])
	n := at + size&^hasExact
	var exact []byte
	if size&hasExact != 0 {
		exact = texts[n+4:][:le.Uint32(texts[n:])]
		exact = exact[:len(exact):len(exact)]
	}
	return Rule{
		Text: texts[at:n:n], Exact: exact, Slot: le.Uint32(b[8:]), Row: le.Uint32(b[12:]),
		Counters: ruleset.Counters{Packets: le.Uint64(b[16:]), Bytes: le.Uint64(b[24:])},
		Origin:   Origin{le.Uint32(b[32:]), le.Uint32(b[36:])},
	}
}

// hash is FNV-1a of the key of a rule: the same in every process.
func hash(key []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range key {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h
}
