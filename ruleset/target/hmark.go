package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var hmarkKind = &ruleset.TargetKind{
	Name:     "HMARK",
	Families: ruleset.Both,
	Doc:      "set the mark of the packet to a hash of its flow",
	Options: []ruleset.Option{
		{Name: "hmark-tuple", NArgs: 1, Help: "what is hashed: a list of src, dst, sport, dport, spi, proto, ct"},
		{Name: hmarkSrc, NArgs: 1, Help: "prefix length of the source address"},
		{Name: hmarkDst, NArgs: 1, Help: "prefix length of the destination address"},
		{Name: hmarkSportMask, NArgs: 1, Help: "mask of the source port"},
		{Name: hmarkDportMask, NArgs: 1, Help: "mask of the destination port"},
		{Name: hmarkSPIMask, NArgs: 1, Help: "mask of the SPI of AH and ESP"},
		{Name: hmarkSport, NArgs: 1, Help: "OR this into the source port"},
		{Name: hmarkDport, NArgs: 1, Help: "OR this into the destination port"},
		{Name: hmarkSPI, NArgs: 1, Help: "OR this into the SPI"},
		{Name: hmarkProtoMask, NArgs: 1, Help: "mask of the protocol"},
		{Name: hmarkRnd, NArgs: 1, Help: "seed of the hash"},
		{Name: hmarkMod, NArgs: 1, Help: "modulus: the mark is below it"},
		{Name: hmarkOffset, NArgs: 1, Help: "number that is added"},
	},
	New: func() ruleset.TargetBuilder { return &HMark{Values: map[string]uint32{}} },
}

// The options of HMARK that leave a value.
const (
	hmarkSrc       = "hmark-src-prefix"
	hmarkDst       = "hmark-dst-prefix"
	hmarkSportMask = "hmark-sport-mask"
	hmarkDportMask = "hmark-dport-mask"
	hmarkSPIMask   = "hmark-spi-mask"
	hmarkSport     = "hmark-sport"
	hmarkDport     = "hmark-dport"
	hmarkSPI       = "hmark-spi"
	hmarkProtoMask = "hmark-proto-mask"
	hmarkRnd       = "hmark-rnd"
	hmarkMod       = "hmark-mod"
	hmarkOffset    = "hmark-offset"
)

// hmarkForms are the options in the order in which they are printed; list is their
// form in listings, which have another order.
var hmarkForms = []struct {
	option, save, list string
	least, most        uint64
}{
	{hmarkSrc, "%d", "src-prefix %d ", 0, 0},
	{hmarkDst, "%d", "dst-prefix %d ", 0, 0},
	{hmarkSportMask, "0x%04x", "sport-mask 0x%x ", 0, 0xffff},
	{hmarkDportMask, "0x%04x", "dport-mask 0x%x ", 0, 0xffff},
	{hmarkSPIMask, "0x%08x", "spi-mask 0x%x ", 0, maxUint32},
	{hmarkSport, "0x%04x", "sport 0x%x ", 0, 0xffff},
	{hmarkDport, "0x%04x", "dport 0x%x ", 0, 0xffff},
	{hmarkSPI, "0x%08x", "spi 0x%x ", 0, maxUint32},
	{hmarkProtoMask, "0x%02x", "proto-mask 0x%x ", 0, 0xffff},
	{hmarkRnd, "0x%08x", "rnd 0x%x ", 0, maxUint32},
	{hmarkMod, "%d", "", 1, maxUint32},
	{hmarkOffset, "%d", "", 0, maxUint32},
}

// hmarkTuple are the words of --hmark-tuple: each stands for an option with all
// bits. The first that starts with what was written is taken.
var hmarkTuple = []struct {
	word, option string
	full         uint32 // 0: the whole address
}{
	{"ct", "", 0},
	{"src", hmarkSrc, 0},
	{"dst", hmarkDst, 0},
	{"sport", hmarkSportMask, 0xffff},
	{"dport", hmarkDportMask, 0xffff},
	{"proto", hmarkProtoMask, 0xffff},
	{"spi", hmarkSPIMask, maxUint32},
}

// HMark is -j HMARK.
type HMark struct {
	used
	Values map[string]uint32 // by option, of those that were given
	CT     bool              // hash the addresses of the connection
	said   []string          // the options as they were given
	lossy  bool              // what is printed reads to other bits
}

// Set takes one option.
func (h *HMark) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := h.once(option, negate); err != nil {
		return err
	}
	h.said = append(append(h.said, "--"+option), args...)
	switch option {
	case "hmark-tuple":
		return h.setTuple(env, args[0])
	case hmarkSrc, hmarkDst:
		n, err := prefixLen(args[0], env.Family)
		h.lossy = h.lossy || n > env.Family.Bits()
		h.Values[option] = uint32(min(n, env.Family.Bits()))
		return err
	}
	for _, f := range hmarkForms {
		if f.option == option {
			n, err := number(args[0], f.least, f.most)
			h.Values[option] = uint32(n)
			return err
		}
	}
	return nil
}

// setTuple reads a list of words. A word counts as its option given once
// (hmark_parse_type() in libxt_HMARK.c of iptables).
func (h *HMark) setTuple(env *ruleset.Env, list string) error {
next:
	for _, s := range strings.Split(list, ",") {
		for _, w := range hmarkTuple {
			if s == "" || !startsFold(w.word, s) {
				continue
			}
			switch w.option {
			case "":
				h.CT = true
			case hmarkSrc, hmarkDst:
				h.Values[w.option] = uint32(env.Family.Bits())
			default:
				h.Values[w.option] = w.full
			}
			h.used, h.lossy = append(h.used, w.option), h.lossy || w.option != ""
			continue next
		}
		if s == "" {
			return ruleset.InWords(errors.New(`bad type ""; a list of src, dst, sport, dport, spi, proto, ct`),
				"\"--hmark-tuple\" requires a list of types with no spaces, e.g. src,dst,sport,dport,proto")
		}
		return ruleset.InWords(fmt.Errorf("bad type %q; a list of src, dst, sport, dport, spi, proto, ct", s), "Bad type \"%s\"", s)
	}
	return nil
}

// Done asks for what the hash needs.
func (h *HMark) Done(*ruleset.Env) error {
	if err := ruleset.InWords(h.need(hmarkMod), "--hmark-mod is mandatory"); err != nil {
		return err
	}
	if err := ruleset.InWords(h.need(hmarkRnd), "--hmark-rnd is mandatory"); err != nil {
		return err
	}
	if h.has(hmarkSPIMask) && h.has(hmarkSportMask, hmarkDportMask) {
		return ruleset.InWords(errors.New("--hmark-spi-mask cannot be used together with port masks; keep one of them"), "you cannot use --hmark-spi-mask and --hmark-?port-mask,at the same time")
	}
	if !h.CT && !h.has(hmarkSrc, hmarkDst, hmarkSPIMask, hmarkSportMask, hmarkDportMask, hmarkProtoMask, hmarkSport, hmarkDport, hmarkSPI) {
		return ruleset.InWords(errors.New("nothing to hash is given; give --hmark-tuple at least"), "you have to specify --hmark-tuple at least")
	}
	return nil
}

// Target gives the target that was built.
func (h *HMark) Target() ruleset.Target { return h }

// Word is the name after -j.
func (h *HMark) Word() string { return "HMARK" }

// Args is the text after -j.
func (h *HMark) Args() []string {
	a := []string{"HMARK"}
	for _, f := range hmarkForms {
		if v, ok := h.Values[f.option]; ok {
			a = append(a, "--"+f.option, fmt.Sprintf(f.save, v))
		}
	}
	if h.CT {
		a = append(a, "--hmark-tuple", "ct")
	}
	return a
}

// ExactArgs are the words that were given, where those that are printed read to other
// bits: masks that are no prefix, and what --hmark-tuple stands for.
func (h *HMark) ExactArgs() []string {
	if !h.lossy {
		return nil
	}
	return append([]string{"HMARK"}, h.said...)
}

// List is the text of iptables -L.
func (h *HMark) List(ruleset.Names) string {
	s := fmt.Sprintf("HMARK mod %d ", h.Values[hmarkMod])
	if v, ok := h.Values[hmarkOffset]; ok {
		s += fmt.Sprintf("+ 0x%x ", v)
	}
	if h.CT {
		s += "ct, "
	}
	for _, f := range hmarkForms {
		if v, ok := h.Values[f.option]; ok && f.list != "" {
			s += fmt.Sprintf(f.list, v)
		}
	}
	return s
}

// Check refuses SPI and ports together (hmark_tg_check(),
// net/netfilter/xt_HMARK.c).
func (h *HMark) Check(*ruleset.Place) error {
	if h.has(hmarkSPI) && h.has(hmarkSport, hmarkDport) {
		return errors.New("--hmark-spi and --hmark-sport or --hmark-dport cannot be combined; keep one of them")
	}
	return nil
}

// Lower gives its words: no other language has such a hash. In table nat netfilter is told in nf_tables
// alone, which have it not.
func (h *HMark) Lower(in *ruleset.Place) pred.Action {
	words := ruleset.ExactArgsOf(h)
	for _, b := range in.Bases {
		if b.Type == ruleset.NAT {
			return pred.Doing(pred.NewOpaque(words))
		}
	}
	return pred.Doing(pred.NewMarker(words))
}
