package match

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// bpfKind is -m bpf, revision 1 (net/netfilter/xt_bpf.c).
var bpfKind = &ruleset.MatchKind{
	Name:     "bpf",
	Families: ruleset.Both,
	Doc:      "a BPF program says yes",
	Options: []ruleset.Option{
		{Name: "bytecode", NArgs: 1, Help: "a classic program: the number of instructions, then each as code jt jf k, separated by commas"},
		{Name: "object-pinned", NArgs: 1, Help: "path of a pinned socket filter program"},
	},
	New: func() ruleset.MatchBuilder { return &bpfMatch{} },
}

// bpfMatch is -m bpf.
type bpfMatch struct {
	given
	unseen
	code []bpfInsn
	path string
}

// bpfInsn is struct sock_filter.
type bpfInsn struct {
	op     uint16
	jt, jf uint8
	k      uint32
}

// bpfCodeMax is XT_BPF_MAX_NUM_INSTR.
const bpfCodeMax = 64

// Set takes one option.
func (m *bpfMatch) Set(_ *ruleset.Env, option string, _ bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	if option == "object-pinned" {
		m.path = cut(args[0], 511)
		return nil
	}
	m.code, err = parseBytecode(args[0])
	return err
}

// parseBytecode is bpf_parse_string() of libxt_bpf.c.
func parseBytecode(arg string) ([]bpfInsn, error) {
	head, rest, ok := strings.Cut(arg, ",")
	n, tail := strtol10(head)
	n = uint64(uint16(n))
	switch begins := fmt.Errorf("--bytecode: %q does not begin with the number of instructions, 1 to %d, and a comma", arg, bpfCodeMax); {
	case !ok || head == "" || tail != "":
		return nil, ruleset.InWords(begins, "bpf: error parsing program length")
	case n == 0:
		return nil, ruleset.InWords(begins, "bpf: illegal zero length program")
	case n > bpfCodeMax:
		return nil, ruleset.InWords(fmt.Errorf("--bytecode: %d instructions announced, at most %d allowed", n, bpfCodeMax), "bpf: number of instructions exceeds maximum")
	}
	var code []bpfInsn
	for i, part := range strings.Split(rest, ",") {
		if part == "" {
			break
		}
		if i >= int(n) {
			return nil, ruleset.InWords(fmt.Errorf("--bytecode: more than the %d instructions that are announced", n), "bpf: real program length exceeds the encoded length parameter")
		}
		var num [4]uint64
		for j := range num {
			before := part
			if num[j], part = strtol10(part); part == before {
				return nil, ruleset.InWords(fmt.Errorf("--bytecode: instruction %d of %q is not four numbers", i, arg), "bpf: error at instr %d", i)
			}
		}
		code = append(code, bpfInsn{uint16(num[0]), uint8(num[1]), uint8(num[2]), uint32(num[3])})
	}
	if len(code) != int(n) {
		return nil, ruleset.InWords(fmt.Errorf("--bytecode: %d instructions given, %d announced", len(code), n), "bpf: parsed program length is less than the encoded length parameter")
	}
	return code, nil
}

// Done is bpf_fcheck_v1() of libxt_bpf.c.
func (m *bpfMatch) Done(*ruleset.Env) error {
	return cmp.Or(ruleset.InWords(m.needOneOf("bytecode", "object-pinned"), "bpf: one of --bytecode or --pinned is required"), m.notBoth("bytecode", "object-pinned"))
}

// Match gives the match itself.
func (m *bpfMatch) Match() ruleset.Match { return m }

// Word is "bpf".
func (m *bpfMatch) Word() string { return "bpf" }

// Args has the program without quotes.
func (m *bpfMatch) Args() []string {
	if m.given["object-pinned"] {
		return []string{"-m", "bpf", "--object-pinned", m.path}
	}
	return []string{"-m", "bpf", "--bytecode", m.codeText()}
}

func (m *bpfMatch) codeText() string {
	parts := []string{fmt.Sprint(len(m.code))}
	for _, in := range m.code {
		parts = append(parts, fmt.Sprintf("%d %d %d %d", in.op, in.jt, in.jf, in.k))
	}
	return strings.Join(parts, ",")
}

// Text prints as bpf_save_v1() of libxt_bpf.c: the program is always quoted.
func (m *bpfMatch) Text() string {
	if m.given["object-pinned"] {
		return strings.Join(m.Args(), " ")
	}
	return `-m bpf --bytecode "` + m.codeText() + `"`
}

// Check is bpf_check_classic() of net/core/filter.c. That a pinned program is there
// is the kernel's to see when the rule is loaded.
func (m *bpfMatch) Check(*ruleset.Place) error {
	if m.given["object-pinned"] {
		return nil
	}
	for at, in := range m.code {
		if err := in.check(at, len(m.code)); err != nil {
			return fmt.Errorf("--bytecode: instruction %d: %w", at, err)
		}
	}
	if last := m.code[len(m.code)-1].op; last != 0x06 && last != 0x16 {
		return fmt.Errorf("--bytecode: the last instruction is not a return")
	}
	return checkScratch(m.code)
}

// bpfOps are the instructions that chk_code_allowed() knows (net/core/filter.c).
var bpfOps = opSet(
	0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac, // arithmetic
	0x00, 0x01, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x61, 0x80, 0x81, 0xb1, 0x02, 0x03, // load, store
	0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, // jump
	0x06, 0x16, 0x07, 0x87, // return, transfer
)

func opSet(ops ...uint16) map[uint16]bool {
	set := map[uint16]bool{}
	for _, op := range ops {
		set[op] = true
	}
	return set
}

// Limits of classic programs (include/uapi/linux/filter.h).
const (
	bpfMemWords = 16
	bpfAdOff    = math.MaxUint32 - 0x1000 + 1 // SKF_AD_OFF
	bpfAdMax    = 64                          // SKF_AD_MAX
)

func (in bpfInsn) check(at, n int) error {
	if !bpfOps[in.op] {
		return fmt.Errorf("0x%x is not an instruction", in.op)
	}
	left := uint64(n - at - 1) // instructions that follow
	switch in.op {
	case 0x34, 0x94:
		if in.k == 0 {
			return fmt.Errorf("division by zero")
		}
	case 0x64, 0x74:
		if in.k >= 32 {
			return fmt.Errorf("shift by %d", in.k)
		}
	case 0x60, 0x61, 0x02, 0x03:
		if in.k >= bpfMemWords {
			return fmt.Errorf("there are %d words of memory, this asks for number %d", bpfMemWords, in.k)
		}
	case 0x05:
		if uint64(in.k) >= left {
			return fmt.Errorf("the jump leads out of the program")
		}
	case 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d:
		if uint64(in.jt) >= left || uint64(in.jf) >= left {
			return fmt.Errorf("the jump leads out of the program")
		}
	case 0x20, 0x28, 0x30:
		// Offsets from SKF_AD_OFF on name ancillary data; up to 2^32-1 only those do.
		if in.k >= bpfAdOff && (in.k-bpfAdOff >= bpfAdMax || in.k&3 != 0) {
			return fmt.Errorf("there is no ancillary data at offset %d", int32(in.k))
		}
	}
	return nil
}

// checkScratch refuses loads from memory that not every way to them has stored
// before (check_load_and_stores()).
func checkScratch(code []bpfInsn) error {
	valid := uint16(0)
	masks := make([]uint16, len(code)) // stored on every way here; ones until a jump leads here
	for i := range masks {
		masks[i] = ^uint16(0)
	}
	for at, in := range code {
		valid &= masks[at]
		switch in.op {
		case 0x02, 0x03:
			valid |= 1 << in.k
		case 0x60, 0x61:
			if valid>>in.k&1 == 0 {
				return fmt.Errorf("--bytecode: instruction %d reads memory word %d before it is stored", at, in.k)
			}
		case 0x05:
			masks[at+1+int(in.k)] &= valid
			valid = ^uint16(0)
		case 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d:
			masks[at+1+int(in.jt)] &= valid
			masks[at+1+int(in.jf)] &= valid
			valid = ^uint16(0)
		}
	}
	return nil
}

// Lower says why BPF does not do it.
func (m *bpfMatch) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "bpf runs a program of another type on the packet (bpf_mt_v1(), net/netfilter/xt_bpf.c), which a program at a netfilter hook cannot call"}
}
