package takeover

import "fmt"

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
	err = m.give(was, func() error {
		err := host.Replace(text)
		m.e.Step("loaded-text")
		return err
	})
	if err == nil {
		fmt.Fprintf(m.report, "%s: the rules are given to %s\n", m.e.Family(), host.Name())
	}
	return err
}

// Interrupted says whether a GiveText was killed, and what we enforce is not known any more: netfilter may have a
// part of the text.
func (m *Mover) Interrupted() (bool, error) {
	was, err := recall(m.e.Dir())
	return was != nil && was.Phase == giving, err
}
