package layout

import "github.com/bpftables/bpftables/bpf/abi"

// TagOf is the tag of a hash.
func TagOf(h uint64) uint32 { return uint32(h)&0x7f | abi.BucketTag }

// Tag is the tag of an entry; 0: it is free.
func Tag(bucket []uint32, i uint32) uint32 { return bucket[abi.BucketTags+i/4] >> (i % 4 * 8) & 0xff }

// SetTag changes the tag of an entry: all words of it are in place.
func SetTag(bucket []uint32, i, tag uint32) {
	word, shift := &bucket[abi.BucketTags+i/4], i%4*8
	Store(word, *word&^(0xff<<shift)|tag<<shift)
}

// MoreRows is the tag that says whether a bucket has a list.
const MoreRows = 7

// Bucket gives the bucket of a hash.
func (m *Memory) Bucket(tuple []uint32, h uint64) []uint32 {
	at := tuple[abi.TupleBuckets] + uint32(h>>(tuple[abi.TupleShift]&63))*abi.BucketSize
	return m.Index[at : at+abi.BucketSize : at+abi.BucketSize]
}

// buckets is how many a tuple has.
func buckets(tuple []uint32) uint32 { return 1 << (64 - tuple[abi.TupleShift]) }

// EachBucket calls a function with all buckets of a tuple.
func (m *Memory) EachBucket(tuple []uint32, do func(bucket []uint32)) {
	at := tuple[abi.TupleBuckets]
	for range buckets(tuple) {
		do(m.Index[at : at+abi.BucketSize : at+abi.BucketSize])
		at += abi.BucketSize
	}
}

// EntryOf gives the words of an entry of a bucket.
func EntryOf(bucket []uint32, i uint32) []uint32 {
	at := abi.BucketEntries + i*abi.EntrySize
	return bucket[at : at+abi.EntrySize]
}

// put gives a row an entry of its bucket, or appends it to the list, whose end is tail.
func (m *Memory) put(bucket []uint32, tail *uint32, n, tagged uint32) {
	for i := range abi.BucketRows {
		if Tag(bucket, i) == 0 {
			EntryOf(bucket, i)[abi.EntryRow] = n
			SetTag(bucket, i, tagged)
			return
		}
	}
	if *tail == 0 {
		bucket[abi.BucketMore] = n
		SetTag(bucket, MoreRows, 1)
	} else {
		m.Row(*tail)[abi.RowNext] = n
	}
	*tail = n
}

// bucketRoom is what is used again for every bucket.
type bucketRoom struct {
	boxes  [abi.BucketRows]Box
	space  [abi.BucketRows][maxWindows]Span
	whole  [maxWindows]Span
	all    [abi.BucketRows][]Span
	others near
}

// complete says what the entries of a bucket ask for. Those of the same tag are most likely
// met by the same packets.
func (m *Memory) complete(room *bucketRoom, bucket []uint32, mask *Key) {
	taken := uint32(0) // from the first entry on
	for ; taken < abi.BucketRows && Tag(bucket, taken) != 0; taken++ {
		room.boxes[taken] = m.Box(EntryOf(bucket, taken)[abi.EntryRow])
		room.all[taken] = m.windows(room.boxes[taken][:], &room.space[taken])
	}
	for i := range taken {
		room.others.n = 0
		for j := range taken {
			if j != i && Tag(bucket, j) == Tag(bucket, i) {
				room.others.add(room.all[j])
			}
		}
		in := m.under(&room.boxes[i], mask)
		at := EntryOf(bucket, i)
		m.entry(at, at[abi.EntryRow], room.all[i], m.windows(in[:], &room.whole), &room.others)
	}
}
