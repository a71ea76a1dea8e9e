// Package early forwards the command line of the process to a resident server before the
// rest of the program is initialized.
//
// Nothing in it is called: a main package imports it. Go initializes packages in the
// order of their dependencies and then of their paths, and this one needs next to
// nothing; the tables of all words, the BTF reader and the parser of the command line come
// later, and take longer than everything that a forwarded command does here.
package early

import (
	"syscall"

	"github.com/bpftables/bpftables/engine/serve/client"
)

func init() {
	if code, done := client.Forward(arguments()); done {
		syscall.Exit(code)
	}
}

// arguments are those of the process as the server gets them (client.Arguments), read from the kernel as package
// os is not there yet; none when they cannot be read.
func arguments() (args []string) {
	text, ok := read("/proc/self/cmdline")
	if !ok {
		return nil
	}
	start := 0
	for i, c := range text {
		if c == 0 {
			args = append(args, string(text[start:i]))
			start = i + 1
		}
	}
	return client.Arguments(args)
}

func read(path string) (text []byte, ok bool) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer syscall.Close(fd)
	text = make([]byte, 0, 4096)
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := syscall.Read(fd, text[len(text):cap(text)])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, false
		case n == 0:
			return text, true
		default:
			text = text[:len(text)+n]
		}
	}
}
