package takeover

import (
	"errors"
	"fmt"
)

// GiveText gives a text to the tool that the host's iptables stands for, in the place of what we
// enforce, which is not known any more; then nothing of ours is left. It is refused, with nothing changed, where a
// tool holds rules already that no GiveText has loaded. The steps are those of Give, and Give completes the last
// one of a GiveText that was killed.
func (m *Mover) GiveText(text string) error {
	was, err := recall(m.e.Dir())
	if err != nil {
		return err
	}
	m.look()
	held, err := m.n.All()
	if err != nil {
		return err
	}
	if len(held) > 0 && (was == nil || was.Phase != giving) {
		return fmt.Errorf("%s: it holds rules, beside which others cannot be loaded; remove them, or ours with 'bpftables flush --all'", held[0])
	}
	host, err := m.n.Host()
	if err != nil {
		return err
	}
	if err := host.Try(text); err != nil {
		return fmt.Errorf("%s would not take the rules, and nothing is changed: %w", host.Name(), err)
	}
	if err := was.with(giving, nil).write(m.e.Dir()); err != nil {
		return err
	}
	m.e.Step("giving")
	if err := host.Replace(text); err != nil {
		return fmt.Errorf("%w; what bpftables enforces goes on", err)
	}
	m.e.Step("loaded-text")
	if err := was.with(given, nil).write(m.e.Dir()); err != nil {
		return err
	}
	m.e.Step("given")
	fmt.Fprintf(m.report, "%s: the rules are given to %s\n", m.e.Family(), host.Name())
	return errors.Join(m.e.Withdraw(), forget(m.e.Dir()))
}
