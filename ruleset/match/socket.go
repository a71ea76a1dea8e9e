package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

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

var socketFlags = []string{"transparent", "nowildcard", "restore-skmark"}

// socket is -m socket.
type socket struct{ flags }

// Match gives the match itself.
func (m *socket) Match() ruleset.Match { return m }

// Check refuses the hooks that socket_mt_reg leaves out.
func (m *socket) Check(in *ruleset.Place) error { return onlyAt(in, packet.Prerouting, packet.Input) }

// Lower says why BPF cannot do it.
func (m *socket) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "socket looks a socket up (nf_sk_lookup_slow_v4(), net/ipv4/netfilter/nf_socket_ipv4.c); sockets of TCP with a peer are found by a hash whose key (inet_ehash_secret) a BPF program cannot read, and bpf_sk_lookup_tcp() is not for programs at a netfilter hook"}
}
