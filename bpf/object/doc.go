// Package object keeps a compiled C object in a form that is read in a fraction of the time
// and memory that its ELF file takes: a small restore would spend a fifth of its time on that.
//
// In: an object as the ELF reader gives it, when the C files are compiled (Encode, called by
// make generate). Out: its maps, variables and programs, as the ELF reader gives them, but
// without the lines of the source, and with the answers of the kernel (package prelink) in
// place of the questions. Refused: objects whose maps begin with something else than the
// read-only variables, and data that Encode did not write.
package object
