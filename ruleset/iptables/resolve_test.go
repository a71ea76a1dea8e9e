package iptables_test

import (
	"fmt"
	"testing"

	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestSystem reads the name files of testdata/root.
func TestSystem(t *testing.T) {
	s := iptables.NewSystem("testdata/root")
	for _, c := range []struct {
		ask  string
		got  func() (any, any)
		want string
	}{
		{"port", func() (any, any) { return two(s.Port("ssh", "tcp")) }, "22 true"},
		{"port of the other protocol", func() (any, any) { return two(s.Port("ssh", "udp")) }, "0 false"},
		{"port of any protocol", func() (any, any) { return two(s.Port("domain", "")) }, "53 true"},
		{"port by alias", func() (any, any) { return two(s.Port("www", "tcp")) }, "80 true"},
		{"service", func() (any, any) { return two(s.Service(80, "tcp")) }, "http true"},
		{"service of no port", func() (any, any) { return two(s.Service(81, "")) }, " false"},
		{"protocol", func() (any, any) { return two(s.Protocol("gre")) }, "47 true"},
		{"protocol by alias", func() (any, any) { return two(s.Protocol("other")) }, "89 true"},
		{"protocol in the wrong case", func() (any, any) { return two(s.Protocol("Gre")) }, "0 false"},
		{"protocol name", func() (any, any) { return two(s.ProtocolName(89)) }, "ospf true"},
		{"user", func() (any, any) { return two(s.User("me")) }, "1000 true"},
		{"user name", func() (any, any) { return two(s.UserName(0)) }, "root true"},
		{"group", func() (any, any) { return two(s.Group("staff")) }, "50 true"},
		{"group name", func() (any, any) { return two(s.GroupName(51)) }, " false"},
		{"realm", func() (any, any) { return two(s.Named("rt_realms", "inside")) }, "1 true"},
		{"realm in hexadecimal", func() (any, any) { return two(s.Named("rt_realms", "hex")) }, "16 true"},
		{"realm above 255", func() (any, any) { return two(s.Named("rt_realms", "toobig")) }, "0 false"},
		{"realm name", func() (any, any) { return two(s.NameIn("rt_realms", 0)) }, "cosmos true"},
		{"group of devices from the second directory", func() (any, any) { return two(s.Named("group", "elsewhere")) }, "7 true"},
		{"connlabel", func() (any, any) { return two(s.NameIn("connlabel.conf", 3)) }, "eight true"},
		{"a file that is not there", func() (any, any) { return two(s.Named("rt_dsfield", "x")) }, "0 false"},
		{"network", func() (any, any) { return two(s.Host("loopback", packet.IPv4)) }, "[127.0.0.0] <nil>"},
		{"network with fewer bytes", func() (any, any) { return two(s.Host("casa", packet.IPv4)) }, "[192.0.2.0] <nil>"},
	} {
		a, b := c.got()
		if got := fmt.Sprint(a, " ", b); got != c.want {
			t.Errorf("%s: got %s, want %s", c.ask, got, c.want)
		}
	}
}

func two[A, B any](a A, b B) (any, any) { return a, b }
