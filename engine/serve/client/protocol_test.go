package client

import (
	"slices"
	"testing"
)

// TestArguments: a server learns how a program of iptables was called.
func TestArguments(t *testing.T) {
	for _, one := range []struct{ argv, want []string }{
		{[]string{"/usr/sbin/bpftables", "save", "-c"}, []string{"save", "-c"}},
		{[]string{"/usr/sbin/iptables-legacy", "-S"}, []string{"face:/usr/sbin/iptables-legacy", "-S"}},
		{[]string{"ip6tables-restore"}, []string{"face:ip6tables-restore"}},
		{[]string{"./bin/xtables-bpf-multi", "iptables", "-S"}, []string{"face:./bin/xtables-bpf-multi", "iptables", "-S"}},
		{[]string{"xtables-bpf-multi"}, []string{"face:xtables-bpf-multi"}},
		{[]string{"xtables-nft-multi", "main4", "-S"}, []string{"face:xtables-nft-multi", "main4", "-S"}},
		{[]string{"/bpftables", "iptables", "-S"}, []string{"iptables", "-S"}},
		{nil, nil},
	} {
		if got := Arguments(one.argv); !slices.Equal(got, one.want) {
			t.Errorf("%q: %q, want %q", one.argv, got, one.want)
		}
	}
}
