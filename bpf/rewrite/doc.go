// Package rewrite changes the instructions of a program before it is loaded: generated
// functions are put into the holes of the compiled datapath, what cannot run is taken out,
// what is known is a number, and the one function that every packet meets is a part of its
// caller.
//
// In: instructions, and the read-only variables of their object (Constants). Out: instructions
// that do the same, fewer of them. Refused: functions that are missing or defined twice.
// Nothing is asked of a kernel, and nothing of the project is imported.
//
//	program:     hook() { ...; if (needs & 4) fill_l4(); ...; chain(); ... }  chain() { stub }
//	generated:   chain() { rules }
//	FillInline:  hook() { ...; ...; rules; ... }                     where needs is 3
package rewrite
