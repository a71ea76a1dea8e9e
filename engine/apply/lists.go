package apply

import "github.com/bpftables/bpftables/engine/datapath"

// List opens a list of -m recent that rules which BPF runs name, in either family; nil when there
// is none. Its addresses are the packets': nobody has to hold the lock.
func (e *Engine) List(name string) (datapath.List, error) { return e.data.List(name) }

// Lists are the names of these lists.
func (e *Engine) Lists() ([]string, error) { return e.data.Lists() }
