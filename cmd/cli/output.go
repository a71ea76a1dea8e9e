package cli

import (
	"fmt"
	"io"
)

// output is the standard output of a command. It remembers that something could not be
// written: what a user asked for is lost then, whichever command printed it.
type output struct {
	io.Writer
	lost error
}

// Write writes, or remembers why not.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.lost == nil {
		o.lost = err
	}
	return n, err
}

// code is the exit code of a command that has ended with one.
func (o *output) code(code int, errs io.Writer) int {
	if code != exitOK || o.lost == nil {
		return code
	}
	fmt.Fprintln(errs, "bpftables: what the command did is done, but its output is lost:", o.lost)
	return exitFailed
}
