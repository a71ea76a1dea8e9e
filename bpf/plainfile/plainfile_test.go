package plainfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpftables/bpftables/bpf/plainfile"
)

// TestRead: files of all lengths are read whole, also those that do not say how long they are.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 20} {
		want := bytes.Repeat([]byte{'a', 'b', 'c'}, n)[:n]
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := plainfile.Read(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
	want, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := plainfile.Read("/proc/self/mountinfo"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("mountinfo: %v, got\n%s\nwant\n%s", err, got, want)
	}
}

// TestErrors: they are those of package os.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := plainfile.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := plainfile.Read(dir); err == nil {
		t.Error("a directory is read")
	}
	f, err := plainfile.Open(filepath.Join(dir, "new"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
