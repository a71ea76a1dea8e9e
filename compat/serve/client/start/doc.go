// Package start is the client of a resident server in machine code that runs before
// the runtime of Go begins: a forwarded command then takes less than a start of Go.
//
// It is source/start.c, compiled into the assembly file beside it. A program that imports the
// package and is linked with "-E bpftables_start" begins there; when no server takes the
// command, or the program is linked without that option, the runtime begins and package
// early does the same in Go. TestStart of cmd/bpftables runs both.
package start

//go:generate go run gen.go
