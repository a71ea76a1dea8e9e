package theirs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// The options of getsockopt that give a table, the same for both families
// (include/uapi/linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h).
const (
	getInfo    = 64 // IPT_SO_GET_INFO
	getEntries = 65 // IPT_SO_GET_ENTRIES
)

// tableName is the name at the start of what getsockopt takes and gives.
type tableName [32]byte

// tableInfo is struct ipt_getinfo.
type tableInfo struct {
	Name      tableName
	Hooks     uint32
	Entry     [5]uint32 // where the chain of a hook begins
	Underflow [5]uint32 // where its policy is
	Entries   uint32
	Size      uint32
}

// entriesHead is how long struct ipt_get_entries is before its entries.
const entriesHead = 40

// entryLayout is where the fields of struct ipt_entry or ip6t_entry are.
type entryLayout struct{ targetOffset, size int }

var (
	entry4 = entryLayout{targetOffset: 88, size: 112}
	entry6 = entryLayout{targetOffset: 140, size: 168}
)

// Of struct xt_entry_target: its name, and what a standard target or the head of a chain
// (target ERROR) has behind it.
const (
	targetNameAt = 2
	targetDataAt = 32
	headTarget   = "ERROR"
	verdictDrop  = -1 // -NF_DROP - 1
)

// legacy looks into a table of ip_tables. Asking for one that is not there would make it,
// so the kernel's list of names is read first.
func (n *Netfilter) legacy(table string) (*Held, error) {
	if !n.listed(table) {
		return nil, nil
	}
	for range 5 {
		info, blob, err := n.entries(table)
		switch {
		case errors.Is(err, unix.EAGAIN):
			continue // it was changed between the two questions
		case err != nil:
			return nil, fmt.Errorf("read table %s of ip_tables: %w; this takes CAP_NET_ADMIN", table, err)
		}
		h := &Held{Variant: tool.Legacy, Family: n.family, Table: table}
		return h, n.walk(h, info, blob)
	}
	return nil, fmt.Errorf("table %s of ip_tables changes all the time; try again", table)
}

// listed reads the kernel's list of tables in the namespace of the thread.
func (n *Netfilter) listed(table string) bool {
	file := "/proc/thread-self/net/ip_tables_names"
	if n.family == packet.IPv6 {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	names, err := plainfile.Read(file)
	return err == nil && slices.Contains(strings.Fields(string(names)), table)
}

// entries gives the rules of a table as the kernel has them.
func (n *Netfilter) entries(table string) (*tableInfo, []byte, error) {
	domain, level := unix.AF_INET, unix.SOL_IP
	if n.family == packet.IPv6 {
		domain, level = unix.AF_INET6, unix.SOL_IPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	var info tableInfo
	copy(info.Name[:], table)
	if err := getsockopt(fd, level, getInfo, unsafe.Pointer(&info), unsafe.Sizeof(info)); err != nil {
		return nil, nil, err
	}
	blob := make([]byte, entriesHead+int(info.Size))
	copy(blob, info.Name[:])
	binary.NativeEndian.PutUint32(blob[len(info.Name):], info.Size)
	if err := getsockopt(fd, level, getEntries, unsafe.Pointer(&blob[0]), uintptr(len(blob))); err != nil {
		return nil, nil, err
	}
	return &info, blob[entriesHead:], nil
}

func getsockopt(fd, level, option int, at unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(at), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// walk counts what is not ours. In the kernel a table is its built-in chains in the order
// of the hooks, each ended by its policy, then the others, each begun by a target ERROR
// with its name and ended by a RETURN; a last ERROR ends all (translate_table(),
// net/ipv4/netfilter/ip_tables.c).
func (n *Netfilter) walk(h *Held, info *tableInfo, blob []byte) error {
	layout := entry4
	if n.family == packet.IPv6 {
		layout = entry6
	}
	chain, user := "", false
	var last *entry
	for at := 0; at < len(blob); {
		e, err := layout.read(blob, at)
		if err != nil {
			return fmt.Errorf("table %s of ip_tables: %w", h.Table, err)
		}
		if hook := slices.Index(info.Entry[:], uint32(at)); hook >= 0 && info.Hooks&(1<<hook) != 0 && !user {
			chain = tables.ChainName(packet.Hook(hook))
		}
		policy := slices.Index(info.Underflow[:], uint32(at))
		switch {
		case e.target == headTarget:
			h.endChain(last, user, chain)
			if chain, user = e.chain(), true; at+len(e.data) < len(blob) && !ourChain(chain) {
				h.Chains++
			}
		case !user && policy >= 0 && info.Hooks&(1<<policy) != 0:
			if e.verdict() == verdictDrop {
				h.Drops = append(h.Drops, tables.ChainName(packet.Hook(policy)))
			}
		default:
			h.add(e, chain, n.pins)
		}
		last = e
		at += len(e.data)
	}
	return nil
}

// add counts a rule.
func (h *Held) add(e *entry, chain, pins string) {
	if ourChain(chain) || bytes.Contains(e.data, []byte(pins+"/")) {
		h.Ours = true
		return
	}
	h.Rules++
}

// endChain takes the RETURN that ends a user chain off the count.
func (h *Held) endChain(last *entry, user bool, chain string) {
	if user && last.target != headTarget && !ourChain(chain) {
		h.Rules--
	}
}

// entry is one rule, with its target.
type entry struct {
	data   []byte
	target string
	rest   []byte // behind the head of the target
}

func (l entryLayout) read(blob []byte, at int) (*entry, error) {
	wrong := fmt.Errorf("the kernel gives an entry of another form at byte %d", at)
	if len(blob)-at < l.size {
		return nil, wrong
	}
	target := int(binary.NativeEndian.Uint16(blob[at+l.targetOffset:]))
	next := int(binary.NativeEndian.Uint16(blob[at+l.targetOffset+2:]))
	if target < l.size || target+targetDataAt > next || next > len(blob)-at {
		return nil, wrong
	}
	data := blob[at : at+next]
	t := data[target:]
	return &entry{data: data, target: cString(t[targetNameAt:targetDataAt]), rest: t[targetDataAt:]}, nil
}

func (e *entry) chain() string { return cString(e.rest) }

func (e *entry) verdict() int32 {
	if e.target != "" || len(e.rest) < 4 {
		return 0
	}
	return int32(binary.NativeEndian.Uint32(e.rest))
}

func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}
