package match

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// sctpKind is -m sctp.
var sctpKind = &ruleset.MatchKind{
	Name:     "sctp",
	Protos:   []uint8{protoSCTP},
	Families: ruleset.Both,
	Doc:      "ports and chunk types of SCTP; needs -p sctp",
	Options: append([]ruleset.Option{
		{Name: "chunk-types", NArgs: 2, Negate: true, Help: "any, all or only; then the chunk types, separated by commas, each with :flags after it if wanted"},
	}, portOptions...),
	New: func() ruleset.MatchBuilder { return &sctp{ports: portPair{anyPort, anyPort}} },
}

// sctp is -m sctp.
type sctp struct {
	given
	ports       portPair
	mode        int
	chunks      [8]uint32
	flags       []pred.SCTPFlag
	negateChunk bool
}

var sctpModes = []string{"any", "all", "only"}

// sctpFlagMax is XT_NUM_SCTP_FLAGS.
const sctpFlagMax = 4

type sctpChunk struct {
	name  string
	kind  uint8
	flags string // the letters of the flag bits, highest first
}

// sctpChunks is in the order of sctp_chunk_names of libxt_sctp.c: the flags of a
// chunk are stored under its place in this list.
var sctpChunks = []sctpChunk{
	{"DATA", 0, "----IUBE"}, {"INIT", 1, "--------"}, {"INIT_ACK", 2, "--------"}, {"SACK", 3, "--------"},
	{"HEARTBEAT", 4, "--------"}, {"HEARTBEAT_ACK", 5, "--------"}, {"ABORT", 6, "-------T"}, {"SHUTDOWN", 7, "--------"},
	{"SHUTDOWN_ACK", 8, "--------"}, {"ERROR", 9, "--------"}, {"COOKIE_ECHO", 10, "--------"}, {"COOKIE_ACK", 11, "--------"},
	{"ECN_ECNE", 12, "--------"}, {"ECN_CWR", 13, "--------"}, {"SHUTDOWN_COMPLETE", 14, "-------T"}, {"I_DATA", 64, "----IUBE"},
	{"RE_CONFIG", 130, "--------"}, {"PAD", 132, "--------"}, {"ASCONF", 193, "--------"}, {"ASCONF_ACK", 128, "--------"},
	{"FORWARD_TSN", 192, "--------"}, {"I_FORWARD_TSN", 194, "--------"},
}

// Set takes one option.
func (m *sctp) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	mine, err := m.ports.set(&m.given, option, negate, func() (lo, hi uint16, err error) {
		return servicePorts(env, option, args[0], "sctp")
	})
	if mine {
		return err
	}
	if err := m.once(option); err != nil {
		return err
	}
	m.negateChunk = negate
	m.mode = -1
	for i, mode := range sctpModes {
		if strings.EqualFold(mode, args[0]) {
			m.mode = i
		}
	}
	if m.mode < 0 {
		return ruleset.InWords(fmt.Errorf("--chunk-types: %q is not a way to match; give any, all or only", args[0]), "Match type has to be one of \"ALL\", \"ANY\" or \"ONLY\"")
	}
	return m.parseChunks(args[1])
}

func (m *sctp) parseChunks(list string) error {
	switch {
	case strings.EqualFold(list, "ALL"):
		for i := range m.chunks {
			m.chunks[i] = ^uint32(0)
		}
		return nil
	case strings.EqualFold(list, "NONE"):
		return nil
	}
	for _, part := range splitList(list) {
		name, flags, _ := strings.Cut(part, ":")
		at := -1
		for i, c := range sctpChunks {
			if strings.EqualFold(c.name, name) {
				at = i
			}
		}
		if at < 0 {
			return ruleset.InWords(fmt.Errorf("--chunk-types: unknown SCTP chunk %q; give names such as DATA or INIT_ACK", name), "Unknown sctp chunk `%s'", name)
		}
		kind := sctpChunks[at].kind
		m.chunks[kind/32] |= 1 << (kind % 32)
		if err := m.parseFlags(at, flags); err != nil {
			return err
		}
	}
	return nil
}

// parseFlags reads flag letters: a capital wants the bit set, a small letter unset.
func (m *sctp) parseFlags(at int, letters string) error {
	for _, letter := range []byte(letters) {
		upper := letter
		if 'a' <= letter && letter <= 'z' {
			upper -= 'a' - 'A'
		}
		place := strings.IndexByte(sctpChunks[at].flags, upper)
		if place < 0 {
			return ruleset.InWords(fmt.Errorf("--chunk-types: %s has no flag %q; it has %s", sctpChunks[at].name, letter, strings.Trim(sctpChunks[at].flags, "-")), "Invalid flags for chunk type %d", sctpChunks[at].kind)
		}
		if err := m.addFlag(uint8(at), 0x80>>place, letter == upper && letter != '-'); err != nil {
			return err
		}
	}
	return nil
}

func (m *sctp) addFlag(at, bit uint8, set bool) error {
	var value uint8
	if set {
		value = bit
	}
	for i := range m.flags {
		if m.flags[i].Chunk == at {
			m.flags[i].Mask |= bit
			m.flags[i].Value |= value
			return nil
		}
	}
	if len(m.flags) == sctpFlagMax {
		return ruleset.InWords(fmt.Errorf("--chunk-types: more than %d chunk types with flags; split the rule", sctpFlagMax), "Number of chunk types with flags exceeds currently allowed limit. Increasing this limit involves changing IPT_NUM_SCTP_FLAGS and recompiling both the kernel space and user space modules")
	}
	m.flags = append(m.flags, pred.SCTPFlag{Chunk: at, Mask: bit, Value: value})
	return nil
}

// Done is called after the last option.
func (m *sctp) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *sctp) Match() ruleset.Match { return m }

// Word is "sctp".
func (m *sctp) Word() string { return "sctp" }

// Args prints as sctp_save() of libxt_sctp.c.
func (m *sctp) Args() []string {
	args := []string{"-m", "sctp"}
	if m.given["sport"] {
		args = append(args, m.ports.src.args("--sport")...)
	}
	if m.given["dport"] {
		args = append(args, m.ports.dst.args("--dport")...)
	}
	if m.given["chunk-types"] {
		args = append(append(args, bang(m.negateChunk)...), "--chunk-types", sctpModes[m.mode], m.printChunks(kindOf))
	}
	return args
}

// ExactArgs has the flags of all chunks: sctp_save() looks some of them up under the
// chunk's type, where libxt_sctp.c stored them under its place in the list.
func (m *sctp) ExactArgs() []string {
	text := m.printChunks(placeOf)
	if text == m.printChunks(kindOf) {
		return nil
	}
	args := m.Args()
	args[len(args)-1] = text
	return args
}

func kindOf(place int) uint8  { return sctpChunks[place].kind }
func placeOf(place int) uint8 { return uint8(place) }

// printChunks prints the list of chunks; flagsOf says where the flags of a chunk, given
// by its place in sctpChunks, are stored.
func (m *sctp) printChunks(flagsOf func(place int) uint8) string {
	n := 0
	for _, w := range m.chunks {
		n += bits.OnesCount32(w)
	}
	switch n {
	case 0:
		return "NONE"
	case 256:
		return "ALL"
	}
	var names []string
	for kind := range 256 {
		if m.chunks[kind/32]>>(kind%32)&1 == 0 {
			continue
		}
		for place, c := range sctpChunks {
			if int(c.kind) == kind {
				names = append(names, c.name+m.printFlags(c.flags, flagsOf(place)))
			}
		}
	}
	return strings.Join(names, ",")
}

func (m *sctp) printFlags(letters string, under uint8) string {
	for _, f := range m.flags {
		if f.Chunk != under {
			continue
		}
		s := ":"
		for i := range 8 {
			letter := letters[i : i+1]
			switch bit := uint8(0x80 >> i); {
			case f.Mask&bit == 0:
			case f.Value&bit == 0:
				s += strings.ToLower(letter)
			default:
				s += letter
			}
		}
		return s
	}
	return ""
}

// Check wants -p sctp.
func (m *sctp) Check(in *ruleset.Place) error { return needProtocol(in, protoSCTP) }

func (m *sctp) chunkPred() pred.SCTPChunks {
	return pred.SCTPChunks{Mode: uint8(m.mode), Map: m.chunks, Flags: m.flags}
}

// Eval is sctp_mt() of net/netfilter/xt_sctp.c. A negated --chunk-types of a cut
// packet counts the rule, runs its target and then drops the packet; here it is
// hotdrop.
func (m *sctp) Eval(f *packet.Facts) pred.Answer {
	sh, a := l4Header(f, 12)
	if a != pred.Yes {
		return a
	}
	if !m.ports.has(sh) {
		return pred.No
	}
	if !m.given["chunk-types"] {
		return pred.Yes
	}
	return pred.Eval(pred.Negated(m.chunkPred(), m.negateChunk), f)
}

// Lower gives the same in predicates, but for a negated --chunk-types.
func (m *sctp) Lower(*ruleset.Place) pred.Pred {
	if m.negateChunk {
		return pred.Unsupported{Reason: "! --chunk-types on a cut packet counts the rule and then drops the packet (sctp_mt(), net/netfilter/xt_sctp.c)"}
	}
	p := append(lowerL4Header(12), m.ports.src.lower(0), m.ports.dst.lower(2))
	if m.given["chunk-types"] {
		p = append(p, m.chunkPred())
	}
	return simplify(p)
}
