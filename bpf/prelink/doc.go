// Package prelink resolves what the C objects ask of the running kernel, the offsets of
// members (CO-RE relocations) and the numbers of kernel functions, and remembers the
// answers until the next boot.
//
// In: the programs of a parsed object. Out: the same programs, whose instructions hold
// the answers, so that loading them does not read the kernel's types: that takes longer
// than all the rest of a small restore, and more memory. Refused: nothing; a program
// that cannot be resolved here is left as it is, and the loader says what is missing.
//
// The answers are kept in a file. It counts only as long as the object, the boot, the
// kernel and its modules are the ones that it was made for, and its content is whole.
package prelink
