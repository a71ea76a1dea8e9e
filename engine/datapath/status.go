package datapath

// Status is what a datapath tells about the generation that is enforced.
type Status struct {
	// Left says what is left of rules that are not enforced any more; "": nothing.
	Left string
	// Held says of tables whether others still have what they were given for them; those
	// of which nothing was given are not there.
	Held map[string]Held
	// ConntrackLost says that another program has switched connection tracking off:
	// packets of rules that ask it are dropped.
	ConntrackLost bool
	Usage         Usage
	Early         *Early // nil: there is none
}

// Held is whether others still have what they were given for a table.
type Held string

// The answers.
const (
	HeldUnchanged Held = "unchanged"
	HeldLost      Held = "lost" // another program removed or changed it: packets that need it are dropped
)

// Usage is what a generation takes in the kernel.
type Usage struct {
	Programs     int
	Instructions int // of the programs of the hooks, as verified
	Maps         int
	Bytes        uint64 // memory of maps and programs
	Hooks        []string
}

// Early is what the early stage does.
type Early struct {
	Mode    string      `json:"mode"`
	Off     string      `json:"off,omitempty"`    // why all packets go up
	Routes  string      `json:"routes,omitempty"` // why only PREROUTING is judged early
	Expects string      `json:"expects,omitempty"`
	Dropped uint64      `json:"dropped"` // packets, since it was attached first
	Links   []EarlyLink `json:"links,omitempty"`
	// Stale says that it was made for what the namespace had before: Follow is due.
	Stale bool `json:"stale,omitempty"`
}

// EarlyLink says whether and how an interface has the early stage.
type EarlyLink struct {
	Interface string `json:"interface"`
	How       string `json:"how"`           // native, generic or tcx; "" for not at all
	Why       string `json:"why,omitempty"` // reason for none, or for not the first choice
}
