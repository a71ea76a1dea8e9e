package target

import (
	"errors"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var teeKind = &ruleset.TargetKind{
	Name:     "TEE",
	Families: ruleset.Both,
	Doc:      "send a copy of the packet to another host of the local network",
	Options: []ruleset.Option{
		{Name: "gateway", NArgs: 1, Help: "address of that host"},
		{Name: "oif", NArgs: 1, Help: "interface through which it is reached"},
	},
	New: func() ruleset.TargetBuilder { return &Tee{} },
}

const ifNameSize = 16

// Tee is -j TEE.
type Tee struct {
	used
	Gateway netip.Addr
	Oif     string
}

// Set takes one option.
func (t *Tee) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := t.once(option, negate); err != nil {
		return err
	}
	if option == "oif" {
		t.Oif = cut(args[0], ifNameSize)
		return nil
	}
	var err error
	t.Gateway, err = host(env, args[0])
	return err
}

// Done asks for --gateway.
func (t *Tee) Done(*ruleset.Env) error { return t.need("gateway") }

// Target gives the target that was built.
func (t *Tee) Target() ruleset.Target { return t }

// Word is the name after -j.
func (t *Tee) Word() string { return "TEE" }

// Args is the text after -j.
func (t *Tee) Args() []string {
	a := []string{"TEE", "--gateway", addrText(t.Gateway)}
	if t.Oif != "" {
		a = append(a, "--oif", t.Oif)
	}
	return a
}

// List is the text of iptables -L.
func (t *Tee) List(names ruleset.Names) string {
	gateway := addrText(t.Gateway)
	if names != nil {
		if name, ok := names.Address(t.Gateway); ok {
			gateway = name
		}
	}
	s := "TEE gw:" + gateway
	if t.Oif != "" {
		s += " oif=" + t.Oif
	}
	return s
}

// Check refuses the zero address (tee_tg_check(), net/netfilter/xt_TEE.c).
func (t *Tee) Check(*ruleset.Place) error {
	if t.Gateway.IsUnspecified() {
		return errors.New("the zero address is not a gateway; give the address of a host")
	}
	return nil
}

// Lower gives the copy.
func (t *Tee) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.Dup{Gateway: t.Gateway, Oif: t.Oif})
}

func teeOf(e pred.Dup) *Tee { return &Tee{Gateway: e.Gateway, Oif: e.Oif} }
