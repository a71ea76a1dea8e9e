package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// rpfilterKind is -m rpfilter (net/ipv4/netfilter/ipt_rpfilter.c, ip6t_rpfilter.c).
var rpfilterKind = &ruleset.MatchKind{
	Name:     "rpfilter",
	Families: ruleset.Both,
	Doc:      "a reply to the packet would leave by the interface it came in on",
	Options: []ruleset.Option{
		{Name: "loose", Help: "by any interface"},
		{Name: "validmark", Help: "look the route up with the mark of the packet"},
		{Name: "accept-local", Help: "sources of this host are allowed"},
		{Name: "invert", Help: "yes for packets that fail"},
	},
	New: func() ruleset.MatchBuilder { return &rpfilter{flags{"rpfilter", rpfilterFlags, nil}} },
}

// socketKind is -m socket, revision 3 (net/netfilter/xt_socket.c).
var socketKind = &ruleset.MatchKind{
	Name:     "socket",
	Families: ruleset.Both,
	Doc:      "an open socket waits for the packet",
	Options: []ruleset.Option{
		{Name: "transparent", Help: "only transparent sockets"},
		{Name: "nowildcard", Help: "also sockets that listen on every address"},
		{Name: "restore-skmark", Help: "give the packet the mark of the socket"},
	},
	New: func() ruleset.MatchBuilder { return &socket{flags{"socket", socketFlags, nil}} },
}

var (
	rpfilterFlags = []string{"loose", "validmark", "accept-local", "invert"}
	socketFlags   = []string{"transparent", "nowildcard", "restore-skmark"}
)

// flags is what words have in common whose options are flags without arguments.
type flags struct {
	word  string
	print []string // the options in the order in which they are printed
	given
}

// Set takes one option.
func (m *flags) Set(_ *ruleset.Env, option string, _ bool, _ []string) error { return m.once(option) }

// Done is called after the last option; none is required.
func (m *flags) Done(*ruleset.Env) error { return nil }

// Word is the name of the word.
func (m *flags) Word() string { return m.word }

// Args prints the options that are set.
func (m *flags) Args() []string {
	args := []string{"-m", m.word}
	for _, option := range m.print {
		if m.given[option] {
			args = append(args, "--"+option)
		}
	}
	return args
}

// Eval is no: what routes and sockets there are is not in the facts.
func (m *flags) Eval(*packet.Facts) pred.Answer { return pred.No }

// rpfilter is -m rpfilter.
type rpfilter struct{ flags }

// Match gives the match itself.
func (m *rpfilter) Match() ruleset.Match { return m }

// Check is rpfilter_check() and the hook of rpfilter_mt_reg.
func (m *rpfilter) Check(in *ruleset.Place) error {
	if in.Table != "raw" && in.Table != "mangle" {
		return fmt.Errorf("it works in the tables raw and mangle only, this is %s", in.Table)
	}
	return onlyAt(in, packet.Prerouting)
}

// Lower says why BPF cannot do it.
func (m *rpfilter) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "rpfilter looks a route up (rpfilter_lookup_reverse(), net/ipv4/netfilter/ipt_rpfilter.c), which BPF cannot do at a netfilter hook"}
}

// socket is -m socket.
type socket struct{ flags }

// Match gives the match itself.
func (m *socket) Match() ruleset.Match { return m }

// Check refuses the hooks that socket_mt_reg leaves out.
func (m *socket) Check(in *ruleset.Place) error { return onlyAt(in, packet.Prerouting, packet.Input) }

// Lower says why BPF cannot do it.
func (m *socket) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "socket looks a socket up (nf_sk_lookup_slow_v4(), net/ipv4/netfilter/nf_socket_ipv4.c), which BPF cannot do at a netfilter hook"}
}
