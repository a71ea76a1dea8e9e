// Package choice decides how the rows of a chain are found: one after the other, in tuples, in
// decision trees, or both.
//
// In: the rows of a chain in their order, with what they fix of a packet's key (Chain), and what
// lookups cost (Costs). Out: the structures in the memory (package layout), the descriptor of
// the chain, and a Choice that tells people. The same rows and costs give the same words.
//
// Masks for tuples are those that take the most rows, the best one first (masks.go). What they
// do not take, or all if that is faster, lies in trees, apart by how wide the addresses are
// (group.go). What is faster is found out by looking up packets that are drawn from the rows,
// and counting what that touches (cost.go).
//
//	chosen, ok := choice.Choose(memory, descriptor, class, chain, choice.Machine{})
package choice
