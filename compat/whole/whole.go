// Package whole puts files and links into the place of others in one step: whoever looks, also
// after a crash, finds the old or the new one.
//
// In: a path, and what is to be there. Out: it is there, and on the disk. What a killed process has
// begun lies beside it under the same name with Suffix; the next one removes it.
package whole

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/bpf/failpoint"
)

// Suffix is behind the name of what is about to be put into the place of something else.
const Suffix = ".bpftables-new"

// Write writes a file.
func Write(path string, data []byte, mode fs.FileMode) error {
	return Replace(path, func(next string) error {
		f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	})
}

// Link makes a symbolic link.
func Link(target, path string) error {
	return Replace(path, func(next string) error { return os.Symlink(target, next) })
}

// Replace puts what make makes into the place of whatever is at a path.
func Replace(path string, make func(next string) error) error {
	next, dir := path+Suffix, filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := Remove(next); err != nil {
		return err
	}
	err := make(next)
	if err == nil {
		failpoint.At("made")
		err = os.Rename(next, path)
	}
	if err == nil {
		err = sync(dir)
	}
	// rename(2) leaves both names of a file as they are.
	return errors.Join(err, Remove(next))
}

// sync writes the names of a directory to the disk.
func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Remove removes a file, if it is there.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
