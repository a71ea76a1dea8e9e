package iptables

import (
	"hash/maphash"
	"strings"
)

// countersMax is how long "[packets:bytes] " before a rule may be.
const countersMax = 48

// sources is the key of the hash of texts. An accident that makes two texts equal is as
// likely as one that breaks the machine.
var sources = maphash.MakeSeed()

// hashOf is the hash of what a rule has after its chain; never 0.
func hashOf(spec []byte) uint64 { return max(1, maphash.Bytes(sources, spec)) }

// source is the hash of the text of the rule that is being read; 0 unless it is a line
// as Print writes it.
func (rd *reader) source(chain string) uint64 {
	text := rd.now.text
	if len(text) > 0 && text[0] == '[' {
		text = text[1+strings.IndexByte(text, ' '):]
	}
	spec, isRule := strings.CutPrefix(text, "-A ")
	spec, inChain := strings.CutPrefix(spec, chain)
	spec, whole := strings.CutSuffix(spec, "\n")
	if !isRule || !inChain || !whole || rd.now.before != 0 || len(text) > chunkMax-countersMax {
		return 0
	}
	if spec != "" && spec[0] != ' ' {
		return 0
	}
	return max(1, maphash.String(sources, strings.TrimPrefix(spec, " ")))
}
