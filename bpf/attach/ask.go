package attach

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The few questions that each command puts to bpf(2), with nothing around them: a library asks
// what the kernel can do first, and each answer costs a single command more than the question.

// Commands of bpf(2), and one of its attach types (enum bpf_cmd and bpf_attach_type,
// include/uapi/linux/bpf.h).
const (
	cmdObjGet     = 7
	cmdInfo       = 15 // BPF_OBJ_GET_INFO_BY_FD
	cmdLinkCreate = 28
	cmdLinkGet    = 30 // BPF_LINK_GET_FD_BY_ID
	cmdLinkNext   = 31 // BPF_LINK_GET_NEXT_ID
	cmdIterCreate = 33
	traceIter     = 28
)

// ask is bpf(2). attr is a struct that begins like the kernel's of the command.
func ask[T any](cmd uintptr, attr *T) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return -1, os.NewSyscallError("bpf", errno)
		}
	}
}

// openPin opens what is pinned under a path.
func openPin(path string) (int, error) {
	name := append([]byte(path), 0)
	fd, err := ask(cmdObjGet, &struct {
		path  *byte
		_     uint32
		flags uint32
	}{path: &name[0]})
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// linkInfo is how struct bpf_link_info begins.
type linkInfo struct {
	kind, id uint32
	_        [56]byte
}

// netfilterLink is BPF_LINK_TYPE_NETFILTER.
const netfilterLink = 10

// pinnedID is the number of the link that is pinned under a path; 0: none is.
func pinnedID(path string) uint32 {
	fd, err := openPin(path)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	info, err := infoOf(fd)
	if err != nil || info.kind != netfilterLink {
		return 0
	}
	return info.id
}

// infoOf is what the kernel says of an open link.
func infoOf(fd int) (info linkInfo, err error) {
	_, err = ask(cmdInfo, &struct {
		fd, size uint32
		info     *linkInfo
	}{uint32(fd), uint32(unsafe.Sizeof(info)), &info})
	return info, err
}

// manyLinks is for how many links of the kernel each one is asked what it is.
const manyLinks = 256

// noHooks says that the kernel has no link at a hook of netfilter, of anybody and in no namespace. False: it has
// one, or does not say.
func noHooks() bool {
	id := struct{ at, next, flags uint32 }{}
	for range manyLinks {
		if _, err := ask(cmdLinkNext, &id); err != nil {
			return errors.Is(err, unix.ENOENT)
		}
		id.at = id.next
		fd, err := ask(cmdLinkGet, &struct{ id, next, flags uint32 }{id: id.at})
		if errors.Is(err, unix.ENOENT) {
			continue // it has gone meanwhile
		}
		if err != nil {
			return false
		}
		info, err := infoOf(fd)
		unix.Close(fd)
		if err != nil || info.kind == netfilterLink {
			return false
		}
	}
	return false
}

// iterate runs a program over what the kernel has of its kind, and gives what it writes.
func iterate(prog int) ([]byte, error) {
	link, err := ask(cmdLinkCreate, &struct {
		prog, target, attach, flags uint32
		_                           [2]uint64
	}{prog: uint32(prog), attach: traceIter})
	if err != nil {
		return nil, err
	}
	defer unix.Close(link)
	iter, err := ask(cmdIterCreate, &struct{ link, flags uint32 }{link: uint32(link)})
	if err != nil {
		return nil, err
	}
	defer unix.Close(iter)
	out := make([]byte, 0, 8<<10)
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := unix.Read(iter, out[len(out):cap(out)])
		switch {
		case err == unix.EINTR || err == unix.EAGAIN: // bpf_seq_read() asks to be asked again
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		case n == 0:
			return out, nil
		default:
			out = out[:len(out)+n]
		}
	}
}
