// Package plainfile opens files without Go's poller.
//
// In: paths of files that never make a reader wait: on disks and in memory, of /proc and /sys.
// Out: their content, or an open file. Package os asks for each file whether it can be waited
// for, which takes six system calls more, and wakes the thread that waits for others where the
// kernel says yes; a command that adds one rule opens a dozen small files.
//
//	text, err := plainfile.Read("/proc/sys/kernel/random/boot_id")
package plainfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a file. Reading and writing block the thread.
func Open(path string, flags int, mode uint32) (*os.File, error) {
	fd, err := open(path, flags, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func open(path string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

// first is how much is read at first: more than most of these files have.
const first = 4 << 10

// Read gives the content of a file.
func Read(path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	out := make([]byte, 0, first)
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := unix.Read(fd, out[len(out):cap(out)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return out, nil
		default:
			out = out[:len(out)+n]
		}
	}
}
