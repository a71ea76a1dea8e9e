// Package prelink asks the running kernel what the C objects want to know of it, the offsets
// of members (CO-RE relocations) and the numbers of kernel functions, and remembers the
// answers until the next boot.
//
// In: an object. Out: the answers to its questions, which package object puts in, so that
// loading a program does not read the kernel's types: that takes longer than all the rest of
// a small restore, and more memory. Refused: nothing; where a question has no answer there
// are none, and the loader says what is missing.
//
// The answers are kept in a file. It counts only as long as the object, the boot, the
// kernel and its modules are the ones that it was made for, and its content is whole.
package prelink
