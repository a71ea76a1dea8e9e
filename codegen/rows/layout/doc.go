// Package layout says what lies where in the two maps of classified chains, and writes it
// there.
//
// In: rows (rule.Row), and which of them are to lie in which tuple or tree. Out: the words of
// bpf/lookup/rows.h and index.h. What is chosen is not decided here (package choice), nor what
// changes later (package edit).
//
//	Rows    row 0 unused, then rows: label, birth and death, fields, links
//	Index   header | descriptors of chains | tuples: descriptions, buckets | trees | programs, notes
//
// A tuple has a mask. The rows in it fix all bits of the mask; a hash of these bits names the
// bucket, a line of the cache with entries. An entry has the number of a row and a range of 16
// bits of the packet, outside of which the row is not asked. A tree divides the packets by
// limits of numbers; its leaves have entries, too.
//
//	m.Tables(descriptor, tuples, others)
package layout
