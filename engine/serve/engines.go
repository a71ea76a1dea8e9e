package serve

import (
	"sync"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapaths"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Engines keeps engines between commands. One is used by one command at a time; a
// second command that runs in the same namespace meanwhile opens another one.
type Engines struct {
	mu   sync.Mutex
	kept map[space]*apply.Engine
	busy map[space]uint64 // counts what makes engines out of date; see Forget
}

// space is what an engine is for.
type space struct {
	cookie string // of the network namespace
	family packet.Family
}

// NewEngines gives an empty store.
func NewEngines() *Engines {
	return &Engines{kept: map[space]*apply.Engine{}, busy: map[space]uint64{}}
}

// Use runs something with the engine of a family in the network namespace of the thread, for
// a caller. An engine that something panicked with is not used again: it may hold half of a
// change. What is in the kernel and on disk is then as after a command that was killed.
func (s *Engines) Use(family packet.Family, c *caller.Caller, do func(*apply.Engine) error) error {
	e, at, since, err := s.take(family)
	if err != nil {
		return err
	}
	e.For(c)
	whole := false
	defer func() { s.put(at, e, since, whole) }()
	err = do(e)
	whole = true
	return err
}

// take gives an engine that nobody else uses.
func (s *Engines) take(family packet.Family) (e *apply.Engine, at space, since uint64, err error) {
	cookie, err := attach.Cookie()
	if err != nil {
		return nil, at, 0, err
	}
	at = space{cookie, family}
	s.mu.Lock()
	e, since = s.kept[at], s.busy[at]
	delete(s.kept, at)
	s.mu.Unlock()
	// A command without a server may have changed what the engine knows.
	if e != nil && !e.Fresh() {
		e.Close()
		e = nil
	}
	if e == nil {
		if e, err = datapaths.Open(family); err != nil {
			return nil, at, 0, err
		}
		e.Keep()
	}
	return e, at, since, nil
}

// put keeps an engine for the next command, if it is whole and not out of date.
func (s *Engines) put(at space, e *apply.Engine, since uint64, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !whole || s.kept[at] != nil || s.busy[at] != since || !e.Fresh() {
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
		at := space{cookie, family}
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
