// Package maps makes, fills and reads the maps of the datapath.
//
// In: the slots of generated programs, as predicates. Out: maps with their initial
// contents, and counters summed over processors. Refused: nothing; the kernel's
// limits on map sizes come back as its errors.
package maps
