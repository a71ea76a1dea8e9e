package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/bpf/failpoint"
)

// basePath and journalPath are the files of a generation.
func basePath(dir string, gen uint32) string {
	return filepath.Join(dir, fmt.Sprintf("state-%d.db", gen))
}

func journalPath(dir string, gen uint32) string {
	return filepath.Join(dir, fmt.Sprintf("state-%d.log", gen))
}

// replaceFile writes a file in one step.
func replaceFile(path string, parts ...[]byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			return errors.Join(fmt.Errorf("state: %w", err), f.Close(), os.Remove(tmp))
		}
	}
	if err := f.Close(); err != nil {
		return errors.Join(fmt.Errorf("state: %w", err), os.Remove(tmp))
	}
	failpoint.At("state beside")
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	failpoint.At("state renamed")
	return nil
}

// removeFile removes a file that may not be there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// Others are the generations other than keep that have a state. A state is written
// before anything else of its generation is made and removed after all of it: where
// there is none, nothing is left of a generation.
func Others(dir string, keep uint32) ([]uint32, error) {
	files, err := files(dir)
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, gen := range files {
		if gen != keep && !slices.Contains(out, gen) {
			out = append(out, gen)
		}
	}
	slices.Sort(out)
	return out, nil
}

// files are the files of states with their generations, whatever their layout.
func files(dir string) (map[string]uint32, error) {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state: %w", err)
	}
	out := map[string]uint32{}
	for _, f := range found {
		number, isState := strings.CutPrefix(f.Name(), "state-")
		digits, _, isFile := strings.Cut(number, ".")
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil && isState && isFile {
			out[filepath.Join(dir, f.Name())] = uint32(n)
		}
	}
	return out, nil
}

// Remove deletes all states of a directory but that of one generation.
func Remove(dir string, keep uint32) error {
	files, err := files(dir)
	if err != nil {
		return err
	}
	// The base last: it tells that something may be left.
	var errs []error
	for _, bases := range []bool{false, true} {
		for f, gen := range files {
			if gen != keep && strings.HasSuffix(f, ".db") == bases {
				errs = append(errs, removeFile(f))
				failpoint.At("state removed")
			}
		}
	}
	return errors.Join(errs...)
}
