package serve

import (
	"sync"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Engines keeps engines between commands. One is used by one command at a time; a
// second command that runs in the same namespace meanwhile opens another one.
type Engines struct {
	mu   sync.Mutex
	kept map[place]*apply.Engine
	busy map[place]uint64 // counts what makes engines out of date; see Forget
}

// place is what an engine is for.
type place struct {
	cookie string // of the network namespace
	family packet.Family
}

// NewEngines gives an empty store.
func NewEngines() *Engines {
	return &Engines{kept: map[place]*apply.Engine{}, busy: map[place]uint64{}}
}

// Get gives the engine of a family in the network namespace of the thread, and what to
// call when the command is done with it.
func (s *Engines) Get(family packet.Family, c *caller.Caller) (*apply.Engine, func(), error) {
	cookie, err := attach.Cookie()
	if err != nil {
		return nil, nil, err
	}
	at := place{cookie, family}
	s.mu.Lock()
	e, since := s.kept[at], s.busy[at]
	delete(s.kept, at)
	s.mu.Unlock()
	// A command without a server may have changed what the engine knows.
	if e != nil && !e.Fresh() {
		e.Close()
		e = nil
	}
	if e == nil {
		if e, err = apply.Open(family); err != nil {
			return nil, nil, err
		}
		e.Keep()
	}
	e.For(c)
	return e, func() { s.put(at, e, since) }, nil
}

// put keeps an engine for the next command, unless it is out of date.
func (s *Engines) put(at place, e *apply.Engine, since uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[at] != nil || s.busy[at] != since || !e.Fresh() {
		e.Close()
		return
	}
	s.kept[at] = e
}

// Forget drops the engines of a network namespace, also those that are in use.
func (s *Engines) Forget(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		at := place{cookie, family}
		s.busy[at]++
		if e := s.kept[at]; e != nil {
			e.Close()
			delete(s.kept, at)
		}
	}
}

// Close drops all engines.
func (s *Engines) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, e := range s.kept {
		e.Close()
		delete(s.kept, at)
	}
}
