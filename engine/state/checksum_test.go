package state

import (
	"hash/crc32"
	"testing"
)

// TestChecksum: long and short parts have the same checksum, however they are cut.
func TestChecksum(t *testing.T) {
	data := make([]byte, 2*short)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	for _, n := range []int{0, 1, 7, 4096, short - 1, short, short + 1, len(data)} {
		want := crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli))
		if got := checksum(data[:n/3], data[n/3:n]); got != want {
			t.Errorf("%d bytes: %08x, want %08x", n, got, want)
		}
	}
}
