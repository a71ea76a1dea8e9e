package plan

// Bounds that the translator keeps to and that the datapath is built for (bpf/abi/numbers
// makes the numbers of C from them).
const (
	// MaxNotes is how many actions a packet's note holds; one that follows itself takes a second
	// word, with NoteRepeats, that counts it. A table that could ask for more is
	// left to netfilter: the bound is proven by the translator, never met at run time.
	MaxNotes = 256
	// MaxRuns is how many actions netfilter may run for a packet, those that follow themselves among them.
	MaxRuns = 1 << 15
	// NoteRepeats, in place of the number of an action, says that the one before it comes some more times.
	NoteRepeats = 1 << 29
	// ClassDepth is how deep classified chains may call each other.
	ClassDepth = 12
)
