package apply

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/engine/state"
)

// TendEarly makes the early stage, if it is on, follow what has changed in the namespace.
// When rules were changed in place it gives a name of what they are now, for RenewEarly;
// else "". locked is as for Tend.
func (e *Engine) TendEarly(locked func(func() error) error) (changed string, err error) {
	live, err := e.Live()
	if err != nil || live == nil {
		return "", err
	}
	defer live.Close()
	x, err := live.readExtra()
	if err != nil || x.Early == "" || x.Early == attach.EarlyOff {
		return "", err
	}
	if live.State.Version != state.First {
		return versionName(live), nil
	}
	wish, err := e.earlyWish(live)
	if err != nil {
		return "", err
	}
	now, err := e.space.EarlyState(wish)
	if err != nil || !now.Stale {
		return "", err
	}
	return "", locked(func() error {
		return e.claimed(func() error {
			_, err := e.SyncEarly()
			return err
		})
	})
}

// RenewEarly makes the programs of the early stage anew, with a generation of the same
// rules, if the rules are still those that TendEarly has named.
func (e *Engine) RenewEarly(changed string, locked func(func() error) error) error {
	live, err := e.Live()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	if versionName(live) != changed {
		return nil
	}
	return e.renew(live, locked)
}

func versionName(live *Live) string {
	return fmt.Sprintf("%d.%d", live.State.Generation, live.State.Version)
}
