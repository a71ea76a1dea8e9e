package state

import (
	"hash/crc32"
	"sync"
)

// checksum is that of some bytes, one after the other.
func checksum(parts ...[]byte) uint32 {
	size, sum := 0, uint32(0)
	for _, p := range parts {
		size += len(p)
	}
	table := castagnoli
	if size <= short {
		table = plain
	}
	for _, p := range parts {
		sum = crc32.Update(sum, table(), p)
	}
	return sum
}

// short is up to how many bytes the plain table is used: hash/crc32 needs longer to make what
// the processor's own instruction works with than the plain table needs for so many bytes.
const short = 32 << 10

var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// plain is the table of the same polynomial, for which hash/crc32 makes nothing ready.
var plain = sync.OnceValue(func() *crc32.Table {
	t := &crc32.Table{}
	for i := range t {
		sum := uint32(i)
		for range 8 {
			low := sum & 1
			if sum >>= 1; low == 1 {
				sum ^= crc32.Castagnoli
			}
		}
		t[i] = sum
	}
	return t
})
