package target

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var idletimerKind = &ruleset.TargetKind{
	Name:     "IDLETIMER",
	Families: ruleset.Both,
	Doc:      "tell user space when no packet came by for some time",
	Options: []ruleset.Option{
		{Name: "timeout", NArgs: 1, Help: "seconds, at least 1"},
		{Name: "label", NArgs: 1, Help: "name of the timer, at most 27 bytes"},
		{Name: "alarm", Help: "count the time that the system sleeps, too"},
	},
	New: func() ruleset.TargetBuilder { return &IdleTimer{} },
}

// Limits of net/netfilter/xt_IDLETIMER.c.
const (
	idleLabelSize  = 28
	idleMaxTimeout = (1<<31-1)/1000 - 1
)

// IdleTimer is -j IDLETIMER.
type IdleTimer struct {
	used
	Timeout uint32
	Label   string
	Alarm   bool
}

// Set takes one option.
func (i *IdleTimer) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := i.once(option, negate); err != nil {
		return err
	}
	switch option {
	case "timeout":
		n, err := number(args[0], 0, maxUint32)
		i.Timeout = uint32(n)
		return err
	case "label":
		i.Label = cut(args[0], idleLabelSize)
	case "alarm":
		i.Alarm = true
	}
	return nil
}

// Done asks for timeout and label.
func (i *IdleTimer) Done(*ruleset.Env) error {
	if err := i.need("timeout"); err != nil {
		return err
	}
	return i.need("label")
}

// Target gives the target that was built.
func (i *IdleTimer) Target() ruleset.Target { return i }

// Word is the name after -j.
func (i *IdleTimer) Word() string { return "IDLETIMER" }

// Args is the text after -j.
func (i *IdleTimer) Args() []string {
	a := []string{"IDLETIMER", "--timeout", decimal(i.Timeout), "--label", i.Label}
	if i.Alarm {
		a = append(a, "--alarm")
	}
	return a
}

// List is the text of iptables -L.
func (i *IdleTimer) List(ruleset.Names) string {
	s := fmt.Sprintf("timeout:%d label:%s", i.Timeout, i.Label)
	if i.Alarm {
		s += " alarm"
	}
	return s
}

// Check refuses times and labels that the kernel refuses (idletimer_tg_helper() and
// idletimer_check_sysfs_name(), net/netfilter/xt_IDLETIMER.c).
func (i *IdleTimer) Check(*ruleset.Place) error {
	if i.Timeout == 0 || i.Timeout > idleMaxTimeout {
		return fmt.Errorf("timeout %d is out of range; give 1 to %d", i.Timeout, idleMaxTimeout)
	}
	switch i.Label {
	case "":
		return errors.New("the label is empty; give one")
	case ".", "..", "power", "subsystem", "uevent":
		return fmt.Errorf("label %q is taken; give another", i.Label)
	}
	if strings.Contains(i.Label, "/") {
		return fmt.Errorf("label %q has a slash; remove it", i.Label)
	}
	return nil
}

// Lower gives the timer.
func (i *IdleTimer) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.IdleTimer{Label: i.Label, Timeout: i.Timeout, Alarm: i.Alarm})
}

func idletimerOf(e pred.IdleTimer) *IdleTimer {
	return &IdleTimer{Label: e.Label, Timeout: e.Timeout, Alarm: e.Alarm}
}
