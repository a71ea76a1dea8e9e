package pred

import (
	"fmt"
	"net/netip"
	"strings"
)

// Dup sends a copy of the packet to another host (net/ipv4/netfilter/nf_dup_ipv4.c).
type Dup struct {
	Gateway netip.Addr
	Oif     string // interface through which it is reached; empty: by routing
}

// ChangeKernelSet changes sets of the kernel's ip_set, or takes values from one, in the
// order of the fields (set_target_v3(), net/netfilter/xt_set.c).
type ChangeKernelSet struct {
	Add, Del, Map KernelSetKey
	Exist         bool // an element that is there has its timeout renewed
	HasTimeout    bool
	Timeout       uint32 // seconds until the element leaves the set
	// What is taken from the element of Map.
	MapMark, MapPriority, MapQueue bool
}

// KernelSetKey is an element of a set: what of the packet makes it.
type KernelSetKey struct {
	Set  string // empty: no set
	Dirs string // "src" or "dst" for each part of the key, separated by commas
}

// Opaque is an effect that has no typed form: the words that tell netfilter's own tool,
// separated by zero bytes.
type Opaque struct {
	Joined string
	Marks  bool // all that it does is to change the mark of the packet
}

// NewOpaque is the effect that some words stand for.
func NewOpaque(words []string) Opaque { return Opaque{Joined: strings.Join(words, "\x00")} }

// NewMarker is the same of one that changes the mark of the packet and nothing else, to what cannot be foretold.
func NewMarker(words []string) Opaque {
	e := NewOpaque(words)
	e.Marks = true
	return e
}

// Words are the words.
func (e Opaque) Words() []string { return strings.Split(e.Joined, "\x00") }

func (Dup) isEffect()             {}
func (ChangeKernelSet) isEffect() {}
func (Opaque) isEffect()          {}

func (e Dup) String() string {
	return "dup to " + e.Gateway.String() + when(e.Oif != "", fmt.Sprintf(" by %q", e.Oif))
}

func (e ChangeKernelSet) String() string {
	s := "kernel set" + e.Add.text("add") + when(e.Exist, " exist") + when(e.HasTimeout, fmt.Sprintf(" timeout=%d", e.Timeout))
	s += e.Del.text("del") + e.Map.text("map")
	return s + when(e.MapMark, " to-mark") + when(e.MapPriority, " to-priority") + when(e.MapQueue, " to-queue")
}

func (k KernelSetKey) text(op string) string {
	return when(k.Set != "", fmt.Sprintf(" %s %q(%s)", op, k.Set, k.Dirs))
}

func (e Opaque) String() string {
	return when(e.Marks, "mark by ") + when(!e.Marks, "opaque ") + strings.Join(e.Words(), " ")
}
