package plan

// Bounds that the translator keeps to and that the datapath is built for (bpf/abi/numbers
// makes the numbers of C from them).
const (
	// MaxNotes is how many actions a packet's note holds. A table that could ask for more is
	// left to netfilter: the bound is proven by the translator, never met at run time.
	MaxNotes = 256
	// ClassDepth is how deep classified chains may call each other.
	ClassDepth = 12
)
