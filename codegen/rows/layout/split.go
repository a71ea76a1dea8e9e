package layout

import "slices"

// sample is what a node's rows are split by: where the spans of some of them begin and end
// within the packets that come there. Those that begin or end where the packets do are left
// out: nothing can be split there.
type sample struct {
	rows     []int // offsets of their spans
	los, his []uint32
}

// split chooses the number and the limit that leave the fewest rows on either side.
func (t *tree) split(ids []int32, in *Box) (dim int, limit uint32, ok bool) {
	step := max(1, len(ids)/treeSample)
	s := &t.sample
	s.rows = s.rows[:0]
	for i := 0; i < len(ids); i += step {
		s.rows = append(s.rows, int(ids[i])*t.dims)
	}
	best := 10 * len(s.rows)
	for d := range t.dims {
		through := s.take(t.spans[d:], in[d])
		// Those that go through are on both sides of every limit.
		if n := len(s.rows) + through; len(s.los)+len(s.his) == 0 || splitCost((n+1)/2, n/2) >= best {
			continue
		}
		slices.Sort(s.los)
		slices.Sort(s.his)
		if cost, at := s.cheapest(); cost < best {
			best, dim, limit, ok = cost, d, at, true
		}
	}
	return dim, limit, ok
}

// take looks at one number, whose spans are those at the offsets, and says how many rows
// take all of it.
func (s *sample) take(spans []Span, in Span) (through int) {
	s.los, s.his = s.los[:0], s.his[:0]
	for _, at := range s.rows {
		r := spans[at]
		begins, ends := r.Lo > in.Lo, r.Hi < in.Hi
		if begins {
			s.los = append(s.los, r.Lo)
		}
		if ends {
			s.his = append(s.his, r.Hi)
		}
		if !begins && !ends {
			through++
		}
	}
	return through
}

// splitCost is what so many rows below and behind a limit cost.
func splitCost(below, behind int) int { return 4*max(below, behind) + 3*(below+behind) }

// cheapest finds the best limit for spans that begin at los and end at his, both sorted.
func (s *sample) cheapest() (cost int, limit uint32) {
	n := len(s.rows)
	cost = 10 * n
	try := func(at uint32, below, behind int) {
		if c := splitCost(below, behind); c < cost {
			cost, limit = c, at
		}
	}
	first := n - len(s.los) // so many begin before all limits
	ended := 0
	for i, lo := range s.los {
		if i > 0 && lo == s.los[i-1] {
			continue
		}
		for ended < len(s.his) && s.his[ended] < lo {
			ended++
		}
		try(lo, first+i, n-ended)
	}
	begun := 0
	for i, hi := range s.his {
		if i+1 < len(s.his) && s.his[i+1] == hi {
			continue
		}
		for begun < len(s.los) && s.los[begun] <= hi {
			begun++
		}
		try(hi+1, first+begun, n-i-1)
	}
	return cost, limit
}
