package datapath

import (
	"time"

	"github.com/bpftables/bpftables/ruleset"
)

// Set is the elements of a named set, where packets ask for them and change them.
type Set interface {
	// Elements are those that there are, with the time that each has left.
	Elements() ([]ruleset.Element, error)
	// Add adds an element, or gives one that is there a new timeout; 0: it stays.
	Add(key []byte, timeout time.Duration) error
	// Delete removes an element; one that is not there is no failure.
	Delete(key []byte) error
	Close() error
}
