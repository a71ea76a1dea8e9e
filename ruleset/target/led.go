package target

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var ledKind = &ruleset.TargetKind{
	Name:     "LED",
	Families: ruleset.Both,
	Doc:      "make a light blink",
	Options: []ruleset.Option{
		{Name: "led-trigger-id", NArgs: 1, Help: "name of the trigger, at most 16 bytes"},
		{Name: "led-delay", NArgs: 1, Help: "milliseconds that the light stays on, or inf"},
		{Name: "led-always-blink", Help: "blink also when the light is on"},
	},
	New: func() ruleset.TargetBuilder { return &LED{} },
}

// ledIDSize is what struct xt_led_info leaves behind "netfilter-" in the name.
const ledIDSize = 16

// ledForever is the delay "inf".
const ledForever = pred.LEDForever

// LED is -j LED.
type LED struct {
	used
	ID          string
	Delay       uint32
	AlwaysBlink bool
}

// Set takes one option.
func (l *LED) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := l.once(option, negate); err != nil {
		return err
	}
	switch option {
	case "led-trigger-id":
		if l.ID = args[0]; len(l.ID) > ledIDSize {
			return fmt.Errorf("%q has %d bytes, at most %d are allowed", l.ID, len(l.ID), ledIDSize)
		}
	case "led-delay":
		if startsFold(args[0], "inf") {
			l.Delay = ledForever
			return nil
		}
		n, err := number(args[0], 0, maxUint32)
		l.Delay = uint32(n)
		return err
	case "led-always-blink":
		l.AlwaysBlink = true
	}
	return nil
}

// Done asks for the name.
func (l *LED) Done(*ruleset.Env) error {
	return l.need("led-trigger-id")
}

// Target gives the target that was built.
func (l *LED) Target() ruleset.Target { return l }

// Word is the name after -j.
func (l *LED) Word() string { return "LED" }

// Args is the text after -j; a delay of "inf" is printed as -1, as iptables-save
// does.
func (l *LED) Args() []string {
	return l.args(l.ID, fmt.Sprint(int32(l.Delay)))
}

// Text is what iptables-save prints: the name always in quotes.
func (l *LED) Text() string {
	return strings.Join(l.args(l.quotedID(), fmt.Sprint(int32(l.Delay))), " ")
}

func (l *LED) quotedID() string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(l.ID) + `"`
}

func (l *LED) args(id, delay string) []string {
	a := []string{"LED", "--led-trigger-id", id}
	if l.Delay != 0 {
		a = append(a, "--led-delay", delay)
	}
	if l.AlwaysBlink {
		a = append(a, "--led-always-blink")
	}
	return a
}

// List is the text of iptables -L.
func (l *LED) List(ruleset.Names) string {
	s := "led-trigger-id:" + l.quotedID()
	if l.Delay == ledForever {
		s += " led-delay:inf"
	} else {
		s += fmt.Sprintf(" led-delay:%dms", int32(l.Delay))
	}
	if l.AlwaysBlink {
		s += " led-always-blink"
	}
	return s
}

// Check accepts every place (led_tg_check(), net/netfilter/xt_LED.c).
func (l *LED) Check(*ruleset.Place) error { return nil }

// Lower gives the light.
func (l *LED) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.BlinkLED{ID: l.ID, Delay: l.Delay, Always: l.AlwaysBlink})
}

func ledOf(e pred.BlinkLED) *LED { return &LED{ID: e.ID, Delay: e.Delay, AlwaysBlink: e.Always} }

// ExactArgs has a delay that iptables can read where a negative one is printed.
func (l *LED) ExactArgs() []string {
	switch {
	case l.Delay == ledForever:
		return l.args(l.ID, "inf")
	case int32(l.Delay) < 0:
		return l.args(l.ID, decimal(l.Delay))
	}
	return nil
}
