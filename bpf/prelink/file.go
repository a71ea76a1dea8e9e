package prelink

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/object"
)

// answerSize is the size of an answer in the file.
const answerSize = int(unsafe.Sizeof(object.Answer{}))

// layout names the layout of the file; it is part of the key.
const layout = "bpftables prelink 2"

// key is what the answers were made for.
type key [sha256.Size]byte

// kernelTypes are the types of the running kernel and its modules.
const kernelTypes = "/sys/kernel/btf"

// keyOf gives the key of the running kernel and an object; ok is false where it cannot
// be told what is running. The inode number of a file in sysfs is not given twice in one
// boot (kernfs_get_ino_and_gen(), fs/kernfs/dir.c): a module that was loaded again has
// another one.
func keyOf(object [sha256.Size]byte) (k key, ok bool) {
	h := sha256.New()
	var u unix.Utsname
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || unix.Uname(&u) != nil {
		return k, false
	}
	fmt.Fprintln(h, layout, boot, u.Release, u.Version, u.Machine)
	entries, err := os.ReadDir(kernelTypes)
	if err != nil {
		return k, false
	}
	for _, e := range entries {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(kernelTypes, e.Name()), &st); err != nil {
			return k, false
		}
		fmt.Fprintln(h, e.Name(), st.Ino, st.Size)
	}
	h.Write(object[:])
	return key(h.Sum(nil)), true
}

// read gives the answers of a file; none when it is not there, not ours alone, not whole
// or made for something else.
func read(file string, k key) []object.Answer {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode != unix.S_IFREG|0o600 || int(st.Uid) != os.Geteuid() {
		return nil
	}
	data, err := io.ReadAll(f)
	n := len(data) - 2*sha256.Size
	if err != nil || n < 0 || n%answerSize != 0 || !bytes.HasPrefix(data, k[:]) {
		return nil
	}
	body, sum := data[:sha256.Size+n], data[sha256.Size+n:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil
	}
	out := make([]object.Answer, n/answerSize)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(out))), n), body[sha256.Size:])
	return out
}

// write replaces a file in one step. What goes wrong costs the next process time, no
// more.
func write(file string, k key, answers []object.Answer) {
	data, err := binary.Append(k[:], binary.NativeEndian, answers)
	if err != nil {
		return
	}
	sum := sha256.Sum256(data)
	temp := file + ".new"
	_ = os.Remove(temp) // of a process that was killed
	if !roomy(filepath.Dir(file)) {
		return
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return // another process is writing
	}
	_, err = f.Write(append(data, sum[:]...))
	if f.Close() != nil || err != nil || os.Rename(temp, file) != nil {
		_ = os.Remove(temp)
	}
}

// roomFor is how many bytes must be free where answers are kept: what rules need room for lies there, too.
const roomFor = 4 << 20

// roomy says whether they are; a file system in memory without a limit does not tell how many blocks it has.
func roomy(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && (st.Blocks == 0 || st.Bavail >= roomFor/uint64(st.Bsize))
}
