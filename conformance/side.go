package conformance

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// side is one lab with one firewall.
type side struct {
	lab      *lab.Lab
	firewall lab.Applier
	family   packet.Family
}

// newSide builds the lab of a case; close removes it.
func newSide(c *Case, firewall lab.Applier) (*side, error) {
	l, err := lab.New(lab.Options{Interfaces: c.interfaces(), Routes: c.Routes})
	if err != nil {
		return nil, err
	}
	s := &side{lab: l, firewall: firewall, family: c.Family}
	if err := l.Listen(c.Listen...); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *side) close() error {
	return errors.Join(s.firewall.Clear(s.lab.Host()), s.lab.Close())
}

func (s *side) apply(text []byte) error { return s.firewall.Apply(s.lab.Host(), s.family, text) }

// refusal is the answer of a firewall to rules it does not take.
type refusal struct{ err error }

func (r refusal) Error() string { return r.err.Error() }

// pair is the reference and the firewall under test, in labs that are alike.
type pair struct{ ref, ours *side }

// newPair builds both labs and loads the rules. A refusal by the reference is an
// error of type refusal; one by ours is a difference.
func newPair(c *Case, reference, ours lab.Applier) (*pair, *Difference, error) {
	p := &pair{}
	var err error
	if p.ref, err = newSide(c, reference); err != nil {
		return nil, nil, err
	}
	if err := p.ref.apply(c.Text); err != nil {
		return nil, nil, errors.Join(refusal{err}, p.close())
	}
	if p.ours, err = newSide(c, ours); err != nil {
		return nil, nil, errors.Join(err, p.close())
	}
	if err := p.ours.apply(c.Text); err != nil {
		d := &Difference{Kind: "load", Reference: "the rules are accepted", Ours: err.Error()}
		return nil, d, p.close()
	}
	return p, nil, nil
}

func (p *pair) close() error {
	var errs []error
	for _, s := range []*side{p.ref, p.ours} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// save gives the rules and counters of both sides.
func (p *pair) save() (ref, ours saved, err error) {
	for _, one := range []struct {
		s    *side
		into *saved
	}{{p.ref, &ref}, {p.ours, &ours}} {
		text, err := one.s.firewall.Save(one.s.lab.Host(), one.s.family, true)
		if err != nil {
			return ref, ours, fmt.Errorf("save: %w", err)
		}
		*one.into = readSaved(string(text))
	}
	return ref, ours, nil
}
