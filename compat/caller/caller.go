// Package caller says for whom a command is run: its streams, its files, its
// environment and its names of hosts and services.
//
// In: this process (Self), or what a client of "bpftables serve" has sent. Out: what
// the command reads and writes. A command that uses nothing else of its process gives
// the same results in both.
package caller

import (
	"io"
	"os"
	"strings"

	"github.com/bpftables/bpftables/ruleset/iptables"
)

// Caller is for whom a command is run, as New gives it. The network namespace is that of the thread.
type Caller struct {
	In       io.Reader
	Out, Err io.Writer
	Open     func(path string) (io.ReadCloser, error)
	Create   func(path string) (io.WriteCloser, error) // as os.Create
	Env      []string                                  // NAME=VALUE
	Resolver func() *iptables.System
	// Gone says that the caller does not wait for the command any more, as if the
	// process of the command had been killed.
	Gone func() bool

	printed *printed
}

// Self is the caller of this process.
func Self(in io.Reader, out, errOut io.Writer) *Caller {
	return New(Caller{
		In: in, Out: out, Err: errOut,
		Open:     func(path string) (io.ReadCloser, error) { return os.Open(path) },
		Create:   func(path string) (io.WriteCloser, error) { return os.Create(path) },
		Env:      os.Environ(),
		Resolver: iptables.NewResolver,
		Gone:     func() bool { return false },
	})
}

// Getenv gives a variable of the environment; "" when it is not set.
func (c *Caller) Getenv(name string) string { return Getenv(c.Env, name) }

// Getenv gives a variable of an environment; "" when it is not set.
func Getenv(env []string, name string) string {
	for _, v := range env {
		if have, value, _ := strings.Cut(v, "="); have == name {
			return value
		}
	}
	return ""
}
