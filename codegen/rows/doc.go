// Package rows lays out classified chains: rules as data that the datapath looks up,
// instead of code.
//
// In: the classified chains of a plan (plan.Class). Out: the words of the two maps of
// bpf/lookup/rows.h, and changes of them in place, while packets pass. Refused: chains that call
// each other deeper than the datapath can.
//
// A rule becomes a row: fields for the usual conditions (addresses, protocol, ports, TCP
// flags, conntrack state) and a program for all others, in the order of the rule. A
// condition may only leave the order if nobody can notice: behind one that has a memory
// or may answer hotdrop, all others stay in the program. Rows lie in tables by the bits
// of the packet that their fields fix (tuples), or in the leaves of decision trees, so that
// few are asked for a packet; an estimate chooses (Choice).
//
//	image, err := rows.Build(p, needs)
//	// fill the maps with image.Rows and image.Index
package rows
