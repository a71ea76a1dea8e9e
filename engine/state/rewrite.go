package state

import "slices"

// wornFrom is how many operations a journal may have before it is better rewritten:
// each costs a reader some microseconds.
const wornFrom = 512

// Worn says that the journal is long: it is time for Compact.
func (s *Store) Worn() bool { return s.ops >= wornFrom }

// Compact writes the base anew with all that the journal says, and empties the
// journal. The version must be live. Chains, tables and texts got from the store
// before are no longer valid.
func (s *Store) Compact() error { return s.rewrite(s.Head, nil) }

// Carry is Compact with what live gives added to the counters. The state then says
// that the last counters of the previous generation are in.
func (s *Store) Carry(live Live) error {
	h := s.Head
	h.Carried = true
	return s.rewrite(h, live)
}

func (s *Store) rewrite(h Head, live Live) error {
	if s.edit != nil {
		panic("state: rewritten inside of an edit")
	}
	if err := s.checkTexts(); err != nil {
		return err
	}
	if err := s.collect(h, live).replace(s.dir); err != nil {
		return err
	}
	// A journal that stays is of no harm: its batches do not start at the version of
	// the base.
	if err := removeFile(journalPath(s.dir, s.Generation)); err != nil {
		return err
	}
	anew, err := Open(s.dir, s.Generation, s.Version)
	if err == nil && anew == nil {
		err = damaged(basePath(s.dir, s.Generation), "it was removed")
	}
	if err != nil {
		return err
	}
	err = s.Close()
	*s = *anew
	for _, t := range s.tables {
		t.store = s
	}
	return err
}

// collect gives all of the store, with what live gives added to the counters.
func (s *Store) collect(h Head, live Live) *Builder {
	b := NewBuilder(h)
	b.parts = s.parts
	if s.ops == 0 { // only counters are others
		b.rules, b.hashes, b.texts = slices.Grow(b.rules, len(s.rules)), s.hashes, s.texts
	} else {
		b.Grow(int(s.count)+len(s.added), len(s.texts))
	}
	for _, t := range s.tables {
		b.Table(t.TableSpec)
		for _, c := range t.chains {
			spec := c.ChainSpec
			spec.Counters = live.Add(spec.Counters, c.Cell())
			b.Chain(spec)
			for i := range c.Len() {
				r, hash := s.rule(c.ref(i))
				r.Counters = live.Add(r.Counters, Cell{c, i, r.Slot, r.Origin})
				if s.ops == 0 {
					b.keep(&r, le.Uint32(s.rules[int(c.ref(i))*ruleSize:]))
				} else {
					b.add(&r, hash)
				}
			}
		}
	}
	return b
}
