package iptables_test

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestExactInKernel loads rules into netfilter as they are written and as ExactLine
// writes them: every row of every word, and rules that are nearly rows. The kernel has to
// get the same bytes.
func TestExactInKernel(t *testing.T) {
	k := newKernel(t)
	for _, w := range wordRows(t) {
		k.compare(&w, w.rule)
	}
	rows := k.compared
	m := newMutator(t, 1)
	for range 4000 {
		k.compare(m.rule())
	}
	t.Logf("%d of %d rows and %d others are the same in the kernel, %d could not be loaded", rows, len(m.rows), k.compared-rows, k.refused)
	if rows < 1000 || k.compared < 2000 {
		t.Errorf("only %d rows and %d rules were compared", rows, k.compared)
	}
}

// kernel is netfilter in a network namespace of the test's thread.
type kernel struct {
	t                 *testing.T
	compared, refused int
}

func newKernel(t *testing.T) *kernel {
	haveOracle(t)
	runtime.LockOSThread() // and the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare: ", err)
	}
	if out, err := exec.Command("ipset", "create", "row-set", "bitmap:port", "range", "0-1023", "timeout", "0").CombinedOutput(); err != nil {
		t.Fatalf("ipset create: %v: %s", err, out)
	}
	return &kernel{t: t}
}

// unused says of which rules the tool writes bits that no packet and no listing depends on,
// in two ways that print and work the same.
var unused = regexp.MustCompile(`^[^"]*(` + strings.Join([]string{
	`-m connlimit|--ct(orig|repl)(src|dst) |-m recent`, // masks behind the 32 bits of an address
	`--pol none`,                   // elements that are not looked at
	`-m frag.*--fragid`,            // IP6T_FRAG_IDS
	`CONNMARK.*--right-shift-mark`, // the direction of a shift by 0
}, "|") + `)`)

// compare loads a rule in both forms, if it is one that we take.
func (k *kernel) compare(w *wordRow, rule string) {
	rs, err := w.ruleset(rule)
	if err != nil {
		return
	}
	r := w.only(rs)
	if r == nil {
		return
	}
	line, err := iptables.ExactLine(r, w.chain)
	if err != nil {
		k.t.Errorf("%s: %s: %v", w.at, rule, err)
		return
	}
	exact := strings.TrimPrefix(strings.TrimPrefix(line, "-A "+w.chain), " ")
	want, _ := k.load(w, rule)
	if want == nil {
		k.refused++ // the kernel lacks a module or an object
		return
	}
	k.compared++
	got, why := k.load(w, exact)
	switch {
	case got == nil:
		k.t.Errorf("%s: %s: %q is refused: %s", w.at, rule, exact, why)
	case !bytes.Equal(got, want) && !unused.MatchString(rule):
		k.t.Errorf("%s: %s: the kernel gets something else for %q", w.at, rule, exact)
	}
}

// load gives the table with a rule as the kernel has it; nil where the tool or the kernel
// refuses it, with the reason.
func (k *kernel) load(w *wordRow, rule string) (table []byte, why string) {
	name := "iptables-legacy-restore"
	if w.family == packet.IPv6 {
		name = "ip6tables-legacy-restore"
	}
	cmd := exec.Command(name)
	cmd.Stdin = strings.NewReader(w.text(rule))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, strings.TrimSpace(string(out))
	}
	return k.entries(w.family, w.table), ""
}

// Options of getsockopt(): include/uapi/linux/netfilter_ipv4/ip_tables.h.
const (
	getInfo    = 64 // IPT_SO_GET_INFO, struct ipt_getinfo
	getEntries = 65 // IPT_SO_GET_ENTRIES, struct ipt_get_entries
)

// entries is struct ipt_get_entries of a table.
func (k *kernel) entries(f packet.Family, table string) []byte {
	domain, level := unix.AF_INET, unix.IPPROTO_IP
	if f == packet.IPv6 {
		domain, level = unix.AF_INET6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		k.t.Fatal(err)
	}
	defer unix.Close(fd)
	get := func(option int, b []byte) {
		n := uint32(len(b))
		copy(b, table)
		if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
			uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0); errno != 0 {
			k.t.Fatal("getsockopt: ", errno)
		}
	}
	info := make([]byte, 84)
	get(getInfo, info)
	size := binary.NativeEndian.Uint32(info[80:])
	entries := make([]byte, 40+size)
	binary.NativeEndian.PutUint32(entries[32:], size)
	get(getEntries, entries)
	return entries
}
