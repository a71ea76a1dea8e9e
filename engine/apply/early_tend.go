package apply

import (
	"fmt"

	"github.com/bpftables/bpftables/engine/datapath"
)

// TendEarly makes the early stage, if it is on, follow what has changed in the namespace.
// When rules were changed in place it gives a name of what they are now, for Compile;
// else "". locked is as for Tend.
func (e *Engine) TendEarly(locked func(func() error) error) (changed string, err error) {
	live, err := e.found()
	if err != nil || live == nil {
		return "", err
	}
	defer live.Close()
	enforced, err := e.enforced(live)
	if err != nil {
		return "", err
	}
	switch drift, err := e.data.Drift(enforced); {
	case err != nil || drift == datapath.Fits:
		return "", err
	case drift == datapath.Outdated:
		return versionName(live), nil
	}
	return "", locked(func() error { return e.claimed(e.follow) })
}

// follow makes what is enforced fit the namespace as it is now. The rules are enforced
// whatever becomes of it.
func (e *Engine) follow() error {
	live, err := e.Live()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	enforced, err := e.enforced(live)
	if err != nil {
		return err
	}
	return e.data.Follow(enforced)
}

func versionName(live *Live) string {
	return fmt.Sprintf("%d.%d", live.State.Generation, live.State.Version)
}
