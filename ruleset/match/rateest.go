package match

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// rateestKind is -m rateest (net/netfilter/xt_rateest.c).
var rateestKind = &ruleset.MatchKind{
	Name:     "rateest",
	Families: ruleset.Both,
	Doc:      "compares rates that -j RATEEST measures",
	Options: []ruleset.Option{
		{Name: "rateest1", NArgs: 1, Help: "name of the first estimator"},
		{Name: "rateest", NArgs: 1, Help: "name of the only estimator"},
		{Name: "rateest2", NArgs: 1, Help: "name of the second estimator, to which the first is compared"},
		{Name: "rateest-bps1", NArgs: ruleset.OptionalArg, Help: "compare bits per second; the rate that is taken off the first"},
		{Name: "rateest-pps1", NArgs: ruleset.OptionalArg, Help: "compare packets per second; the rate that is taken off the first"},
		{Name: "rateest-bps2", NArgs: ruleset.OptionalArg, Help: "bits per second to compare with, or taken off the second"},
		{Name: "rateest-pps2", NArgs: ruleset.OptionalArg, Help: "packets per second to compare with, or taken off the second"},
		{Name: "rateest-bps", NArgs: ruleset.OptionalArg, Help: "bits per second to compare with"},
		{Name: "rateest-pps", NArgs: ruleset.OptionalArg, Help: "packets per second to compare with"},
		{Name: "rateest-delta", Help: "compare differences to the given rates"},
		{Name: "rateest-lt", Negate: true, Help: "less"},
		{Name: "rateest-gt", Negate: true, Help: "greater"},
		{Name: "rateest-eq", Negate: true, Help: "equal"},
	},
	New: func() ruleset.MatchBuilder { return &rateest{} },
}

// rateest is -m rateest; rates in bytes or packets per second.
type rateest struct {
	given
	unseen
	names    [2]string
	mode     string // "lt", "gt" or "eq"
	negate   bool
	bps, pps [2]uint32
}

// rateestAliases are the short forms of options.
var rateestAliases = map[string]string{"rateest": "rateest1", "rateest-bps": "rateest-bps2", "rateest-pps": "rateest-pps2"}

// Set takes one option.
func (m *rateest) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if full, ok := rateestAliases[option]; ok {
		option = full
	}
	if err = m.once(option); err != nil {
		said := "--" + option
		if mode, is := strings.CutPrefix(option, "rateest-"); is && len(mode) == 2 {
			said = "lt/gt/eq"
		}
		return ruleset.InWordsOf(errors.Unwrap(err), "can't specify %s twice", said)
	}
	switch option {
	case "rateest1", "rateest2":
		m.names[option[7]-'1'] = cut(args[0], 15)
	case "rateest-lt", "rateest-gt", "rateest-eq":
		m.mode, m.negate = option[8:], m.negate || negate
	case "rateest-bps1", "rateest-bps2", "rateest-pps1", "rateest-pps2":
		if len(args) == 0 {
			return nil
		}
		i := option[11] - '1'
		if strings.HasPrefix(option, "rateest-bps") {
			m.bps[i], err = parseBitrate(option, args[0])
		} else {
			m.pps[i], err = number32(option, args[0], 0)
			err = ruleset.InWords(err, "rateest: could not parse pps `%s'", args[0])
		}
	}
	return err
}

// bitUnits are the suffixes of rates, in bits per second.
var bitUnits = map[string]float64{
	"": 1, "bit": 1, "kibit": 1 << 10, "kbit": 1e3, "mibit": 1 << 20, "mbit": 1e6, "gibit": 1 << 30, "gbit": 1e9,
	"tibit": 1 << 40, "tbit": 1e12, "bps": 8, "kibps": 8 << 10, "kbps": 8e3, "mibps": 8 << 20, "mbps": 8e6,
	"gibps": 8 << 30, "gbps": 8e9, "tibps": 8 << 40, "tbps": 8e12,
}

// parseBitrate is rateest_get_rate() of libxt_rateest.c.
func parseBitrate(option, arg string) (uint32, error) {
	n := len(arg)
	for n > 0 {
		if _, err := strconv.ParseFloat(arg[:n], 64); err == nil {
			break
		}
		n--
	}
	scale, ok := bitUnits[strings.ToLower(arg[n:])]
	if n == 0 || !ok {
		return 0, ruleset.InWords(fmt.Errorf("--%s: %q is not a rate; write it as 64kbit, 1mbit or 8KBps", option, arg), "rateest: could not parse rate `%s'", arg)
	}
	v, _ := strconv.ParseFloat(arg[:n], 64)
	v = v * scale / 8
	if !(math.Abs(v) < 1<<63) {
		return 0, nil
	}
	return uint32(int64(v)), nil
}

// Done is called after the last option; what is missing only the kernel sees.
func (m *rateest) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *rateest) Match() ruleset.Match { return m }

// Word is "rateest".
func (m *rateest) Word() string { return "rateest" }

// counts says whether a rate of that kind, "bps" or "pps", is compared.
func (m *rateest) counts(kind string) bool {
	return m.given["rateest-"+kind+"1"] || m.given["rateest-"+kind+"2"]
}

// Args prints as rateest_save() of libxt_rateest.c.
func (m *rateest) Args() []string {
	args := []string{"-m", "rateest"}
	if m.given["rateest-delta"] {
		args = append(args, "--rateest-delta")
	}
	name := "--rateest"
	if m.given["rateest2"] {
		name = "--rateest1"
	}
	args = append(args, name, m.names[0])
	if m.counts("bps") {
		args = append(args, m.rateArgs("bps", bitrateText(m.bps[0]), bitrateText(m.bps[1]))...)
	}
	if m.counts("pps") {
		args = append(args, m.rateArgs("pps", fmt.Sprint(m.pps[0]), fmt.Sprint(m.pps[1]))...)
	}
	if m.given["rateest2"] {
		args = append(args, "--rateest2", m.names[1])
	}
	return args
}

// ExactArgs has each option once and rates in full: where bits and packets are compared, the mode is
// printed twice, and rates are printed with loss.
func (m *rateest) ExactArgs() []string {
	args := []string{"-m", "rateest", "--rateest1", m.names[0]}
	if m.given["rateest2"] {
		args = append(args, "--rateest2", m.names[1])
	}
	if m.given["rateest-delta"] {
		args = append(args, "--rateest-delta")
	}
	for i, n := range []string{"1", "2"} {
		if m.given["rateest-bps"+n] {
			args = append(args, "--rateest-bps"+n, fmt.Sprintf("%dbps", m.bps[i])) // bytes
		}
		if m.given["rateest-pps"+n] {
			args = append(args, "--rateest-pps"+n, fmt.Sprint(m.pps[i]))
		}
	}
	return append(append(args, bang(m.negate)...), "--rateest-"+m.mode)
}

func (m *rateest) rateArgs(kind, first, second string) (args []string) {
	mode := append(bang(m.negate), "--rateest-"+m.mode)
	if m.given["rateest-delta"] {
		args = append(append([]string{"--rateest-" + kind + "1", first}, mode...), "--rateest-"+kind+"2")
	} else {
		args = append(mode, "--rateest-"+kind)
	}
	if m.given["rateest-delta"] || !m.given["rateest2"] {
		args = append(args, second)
	}
	return args
}

func bitrateText(bytes uint32) string {
	bits := float64(bytes) * 8
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.0fMbit", bits/1e6)
	case bits >= 1e6:
		return fmt.Sprintf("%.0fKbit", bits/1e3)
	}
	return fmt.Sprintf("%.0fbit", bits)
}

// Check is xt_rateest_mt_checkentry(); that the estimators are there is the
// kernel's to see when the rule is loaded.
func (m *rateest) Check(*ruleset.Place) error {
	switch {
	case m.names[0] == "" || m.given["rateest2"] && m.names[1] == "":
		return fmt.Errorf("no estimator is named; give --rateest")
	case !m.counts("bps") && !m.counts("pps"):
		return fmt.Errorf("nothing is compared; give --rateest-bps or --rateest-pps")
	case m.mode == "":
		return fmt.Errorf("no comparison; give --rateest-lt, --rateest-gt or --rateest-eq")
	}
	return nil
}

// Lower says why BPF cannot do it.
func (m *rateest) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "rateest reads estimators that -j RATEEST keeps in the kernel (xt_rateest_mt(), net/netfilter/xt_rateest.c), which BPF cannot reach"}
}
