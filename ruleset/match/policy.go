package match

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// policyKind is -m policy (net/netfilter/xt_policy.c).
var policyKind = &ruleset.MatchKind{
	Name:     "policy",
	Families: ruleset.Both,
	Doc:      "the IPsec transformations that the packet had or will have",
	Options: []ruleset.Option{
		{Name: "dir", NArgs: 1, Help: "in: it was decrypted so; out: it will be encrypted so"},
		{Name: "pol", NArgs: 1, Help: "ipsec, or none: without any"},
		{Name: "strict", Help: "the elements describe all transformations, not one of them"},
		{Name: "reqid", NArgs: 1, Negate: true, Help: "request id of the element"},
		{Name: "spi", NArgs: 1, Negate: true, Help: "SPI of the element"},
		{Name: "tunnel-src", NArgs: 1, Negate: true, Help: "source of the tunnel, with or without mask"},
		{Name: "tunnel-dst", NArgs: 1, Negate: true, Help: "destination of the tunnel"},
		{Name: "proto", NArgs: 1, Negate: true, Help: "ah, esp or ipcomp"},
		{Name: "mode", NArgs: 1, Negate: true, Help: "transport or tunnel"},
		{Name: "next", Help: "the next element begins"},
	},
	New: func() ruleset.MatchBuilder { return &policy{elems: []policyElem{{}}} },
}

// policyMax is XT_POLICY_MAX_ELEM.
const policyMax = 4

// policy is -m policy.
type policy struct {
	given
	family packet.Family
	out    bool
	none   bool
	elems  []policyElem
}

// policyElem is one element; given and negate are keyed by option.
type policyElem struct {
	given
	negate     map[string]bool
	reqid, spi uint32
	proto      uint8
	protoName  string
	tunnel     bool
	src, dst   hostMask
}

// Set takes one option.
func (m *policy) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	m.family = env.Family
	switch option {
	case "dir":
		m.out = args[0] == "out"
		return cmp.Or(m.once(option), ruleset.InWords(oneOf(option, args[0], "in", "out"), "policy_match: invalid dir \"%s\"", args[0]))
	case "pol":
		m.none = args[0] == "none"
		return cmp.Or(m.once(option), ruleset.InWords(oneOf(option, args[0], "none", "ipsec"), "policy match: invalid policy \"%s\"", args[0]))
	case "strict":
		return m.once(option)
	case "next":
		m.take(option)
		if m.elems = append(m.elems, policyElem{}); len(m.elems) > policyMax {
			return ruleset.InWords(fmt.Errorf("more than %d elements", policyMax), "policy match: maximum policy depth reached")
		}
		return nil
	}
	return m.elems[len(m.elems)-1].set(env, option, negate, args[0])
}

func (e *policyElem) set(env *ruleset.Env, option string, negate bool, arg string) (err error) {
	if err = e.once(option); err != nil {
		return ruleset.InWords(err, "policy match: double --%s option", option)
	}
	if e.negate == nil {
		e.negate = map[string]bool{}
	}
	e.negate[option] = negate
	switch option {
	case "reqid":
		e.reqid, err = number32(option, arg, 0)
	case "spi":
		e.spi, err = number32(option, arg, 0)
	case "tunnel-src":
		e.src, err = parseHostMask(env, option, arg)
	case "tunnel-dst":
		e.dst, err = parseHostMask(env, option, arg)
	case "mode":
		e.tunnel = arg == "tunnel"
		err = ruleset.InWords(oneOf(option, arg, "transport", "tunnel"), "policy match: invalid mode \"%s\"", arg)
	case "proto":
		err = e.setProto(env, arg)
	}
	return err
}

func (e *policyElem) setProto(env *ruleset.Env, arg string) (err error) {
	if e.proto, err = parseProtocol(env, "proto", arg); err != nil {
		return err
	}
	names := map[uint8]string{protoESP: "esp", protoAH: "ah", protoIPComp: "ipcomp"}
	name, ok := names[e.proto]
	if !ok {
		return ruleset.InWords(fmt.Errorf("--proto: %q is not one of ah, esp, ipcomp", arg), "policy match: protocol must be ah/esp/ipcomp")
	}
	if env.Resolve != nil {
		if name, ok = env.Resolve.ProtocolName(e.proto); !ok {
			name = fmt.Sprint(e.proto)
		}
	}
	e.protoName = name
	return nil
}

// Done is policy_check() of libxt_policy.c.
func (m *policy) Done(env *ruleset.Env) error {
	m.family = env.Family
	if err := cmp.Or(ruleset.InWords(m.need("dir"), "policy match: neither --dir in nor --dir out specified"), m.also("next", "strict")); err != nil {
		return err
	}
	if m.none {
		if m.given["strict"] || m.given["next"] {
			return ruleset.InWords(fmt.Errorf("--pol none: there are no elements; leave --strict and --next out"), "policy match: policy none but --strict given")
		}
		m.elems = nil
	}
	for i, e := range m.elems {
		if m.given["strict"] && len(e.given) == 0 {
			return ruleset.InWords(fmt.Errorf("--strict: element %d is empty; give --reqid, --spi, --proto, --mode, --tunnel-src or --tunnel-dst", i+1), "policy match: empty policy element %d. --strict is in effect, but at least one of reqid, spi, tunnel-src, tunnel-dst, proto or mode is required.", i)
		}
		if (e.given["tunnel-src"] || e.given["tunnel-dst"]) && e.tunnel == e.negate["mode"] {
			return ruleset.InWords(fmt.Errorf("--tunnel-src and --tunnel-dst: they need --mode tunnel in the same element"), "policy match: --tunnel-src/--tunnel-dst is only valid in tunnel mode")
		}
	}
	return nil
}

// Match gives the match itself.
func (m *policy) Match() ruleset.Match { return m }

// Word is "policy".
func (m *policy) Word() string { return "policy" }

// Args prints as policy4_save() of libxt_policy.c.
func (m *policy) Args() []string {
	return m.args(func(e policyElem) string { return e.protoName })
}

// ExactArgs has protocols by number: those of IPsec have no name that iptables itself
// knows for all of them.
func (m *policy) ExactArgs() []string {
	for _, e := range m.elems {
		if e.given["proto"] && e.protoName != fmt.Sprint(e.proto) {
			return m.args(func(e policyElem) string { return fmt.Sprint(e.proto) })
		}
	}
	return nil
}

func (m *policy) args(proto func(policyElem) string) []string {
	dir, pol := "in", "ipsec"
	if m.out {
		dir = "out"
	}
	if m.none {
		pol = "none"
	}
	args := []string{"-m", "policy", "--dir", dir, "--pol", pol}
	if m.given["strict"] {
		args = append(args, "--strict")
	}
	for i, e := range m.elems {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, e.args(m.family, proto(e))...)
	}
	return args
}

func (e *policyElem) args(family packet.Family, proto string) (args []string) {
	mode := "transport"
	if e.tunnel {
		mode = "tunnel"
	}
	for _, o := range []struct{ option, value string }{
		{"reqid", fmt.Sprint(e.reqid)}, {"spi", fmt.Sprintf("0x%x", e.spi)}, {"proto", proto}, {"mode", mode},
		{"tunnel-dst", e.dst.text(family)}, {"tunnel-src", e.src.text(family)},
	} {
		if e.given[o.option] {
			args = append(append(args, bang(e.negate[o.option])...), "--"+o.option, o.value)
		}
	}
	return args
}

// Check is policy_mt_check().
func (m *policy) Check(in *ruleset.Place) error {
	if m.out {
		return notAt(in, "dir out", packet.Prerouting, packet.Input)
	}
	return notAt(in, "dir in", packet.Postrouting, packet.Output)
}

// Eval is policy_mt(). What the packet had is asked from the last one on, what it will have from the first
// one on.
func (m *policy) Eval(f *packet.Facts) pred.Answer {
	all := f.Decrypted
	if m.out {
		all = f.Encrypts
	}
	switch {
	case len(all) == 0:
		return pred.Bool(m.none)
	case m.none || m.given["strict"] && len(all) != len(m.elems):
		return pred.No
	case !m.given["strict"]:
		return pred.Bool(slices.ContainsFunc(all, m.elems[0].is))
	}
	for i, t := range all {
		if !m.elems[i].is(t) {
			return pred.No
		}
	}
	return pred.Yes
}

// is is match_xfrm_state(). iptables gives the kernel the SPI in the order of the host's bytes, and it is
// compared with the one on the wire.
func (e policyElem) is(t packet.Transform) bool {
	agrees := func(option string, is bool) bool { return !e.given[option] || is != e.negate[option] }
	return agrees("tunnel-src", e.src.contains(netip.AddrFrom16(bytes16(t.Src)))) && agrees("tunnel-dst", e.dst.contains(netip.AddrFrom16(bytes16(t.Dst)))) &&
		agrees("proto", e.proto == t.Proto) && agrees("mode", e.tunnel == (t.Mode == 1) && t.Mode <= 1) &&
		agrees("spi", onWire(e.spi) == t.SPI) && agrees("reqid", e.reqid == t.ReqID)
}

// onWire is a number that was written to the wire as it lay in memory.
func onWire(n uint32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, n))
}

// Lower gives the same in predicates.
func (m *policy) Lower(*ruleset.Place) pred.Pred {
	if m.given["strict"] && !m.out && len(m.elems) > 1 {
		return pred.Unsupported{Reason: "policy --dir in --strict with several elements: kernels differ in which one stands for which transformation, some read what is in memory before them (match_policy_in(), net/netfilter/xt_policy.c)"}
	}
	p := pred.Policy{Out: m.out, None: m.none, Strict: m.given["strict"]}
	for _, e := range m.elems {
		p.Elems = append(p.Elems, e.lower())
	}
	return p
}

func (e policyElem) lower() pred.PolicyElem {
	out := pred.PolicyElem{
		Src: e.src.addr, SrcMask: e.src.mask, Dst: e.dst.addr, DstMask: e.dst.mask,
		Proto: e.proto, SPI: onWire(e.spi), ReqID: e.reqid,
	}
	if e.tunnel {
		out.Mode = 1
	}
	for option, field := range map[string]pred.PolicyField{
		"tunnel-src": pred.PolicySrc, "tunnel-dst": pred.PolicyDst, "proto": pred.PolicyProto, "mode": pred.PolicyMode,
		"spi": pred.PolicySPI, "reqid": pred.PolicyReqID,
	} {
		if e.given[option] {
			out.Match |= field
			if e.negate[option] {
				out.Invert |= field
			}
		}
	}
	return out
}
