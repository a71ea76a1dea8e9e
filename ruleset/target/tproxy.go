package target

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var tproxyKind = &ruleset.TargetKind{
	Name:     "TPROXY",
	Families: ruleset.Both,
	Doc:      "hand the packet to a local proxy without changing it",
	Options: []ruleset.Option{
		{Name: "on-port", NArgs: 1, Help: "port of the proxy; 0: that of the packet"},
		{Name: "on-ip", NArgs: 1, Help: "address of the proxy"},
		{Name: "tproxy-mark", NArgs: 1, Help: "VALUE[/MASK]: change of the mark, as MARK --set-xmark"},
	},
	New: func() ruleset.TargetBuilder { return &TProxy{} },
}

// TProxy is -j TPROXY.
type TProxy struct {
	used
	Port        uint16
	Addr        netip.Addr
	Value, Mask uint32
}

// Set takes one option.
func (t *TProxy) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := t.once(option, negate); err != nil {
		return err
	}
	var err error
	switch option {
	case "on-port":
		return t.setPort(env, args[0])
	case "on-ip":
		t.Addr, err = host(env, args[0])
	case "tproxy-mark":
		t.Value, t.Mask, err = markMask(args[0])
	}
	return err
}

// setPort reads a port as getaddrinfo() does: decimal, cut to 16 bits, or a
// service.
func (t *TProxy) setPort(env *ruleset.Env, s string) error {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		t.Port = uint16(n)
		return nil
	}
	port, ok := service(env, s)
	if !ok {
		return ruleset.InWords(fmt.Errorf("port %q is not valid; give a number from 0 to 65535 or a service", s), "Port \"%s\" does not resolve to anything.\n", s)
	}
	t.Port = port
	return nil
}

// Done asks for --on-port.
func (t *TProxy) Done(env *ruleset.Env) error {
	if !t.Addr.IsValid() {
		t.Addr = netip.IPv4Unspecified()
		if env.Family == packet.IPv6 {
			t.Addr = netip.IPv6Unspecified()
		}
	}
	return t.need("on-port")
}

// Target gives the target that was built.
func (t *TProxy) Target() ruleset.Target { return t }

// Word is the name after -j.
func (t *TProxy) Word() string { return "TPROXY" }

// Args is the text after -j.
func (t *TProxy) Args() []string {
	return []string{
		"TPROXY", "--on-port", decimal(t.Port), "--on-ip", addrText(t.Addr),
		"--tproxy-mark", hex32(t.Value) + "/" + hex32(t.Mask),
	}
}

// List is the text of iptables -L.
func (t *TProxy) List(ruleset.Names) string {
	return fmt.Sprintf("TPROXY redirect %s:%d mark 0x%x/0x%x", addrText(t.Addr), t.Port, t.Value, t.Mask)
}

// Check refuses other tables, hooks and protocols (tproxy_tg4_check(),
// net/netfilter/xt_TPROXY.c).
func (t *TProxy) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityMangle); err != nil {
		return err
	}
	if err := onlyHooks(in, packet.Prerouting); err != nil {
		return err
	}
	return onlyProto(in, "TPROXY", protoTCP, protoUDP)
}

// Lower gives the hand-over.
func (t *TProxy) Lower(in *ruleset.Place) pred.Action {
	proto, _, _ := in.Proto()
	return pred.Doing(pred.TProxy{Proto: proto, Addr: t.Addr, Port: t.Port, Value: t.Value, Mask: t.Mask})
}

func tproxyOf(e pred.TProxy) *TProxy {
	return &TProxy{Addr: e.Addr, Port: e.Port, Value: e.Value, Mask: e.Mask}
}
