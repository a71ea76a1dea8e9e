package rewrite

import (
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Constants are the read-only sections of an object, by their names.
type Constants struct {
	sections map[string][]byte
	Embed    bool // loads of them become numbers, and what is not read then goes
}

// ConstantsOf gives what programs of spec will read: a map that only the kernel could write to,
// and does not, with the values that its variables were set to.
func ConstantsOf(spec *ebpf.CollectionSpec) *Constants {
	out := &Constants{sections: map[string][]byte{}, Embed: true}
	for name, m := range spec.Maps {
		if !strings.HasPrefix(name, ".rodata") || m.Flags&unix.BPF_F_RDONLY_PROG == 0 || len(m.Contents) != 1 {
			continue
		}
		if data, ok := m.Contents[0].Value.([]byte); ok {
			out.sections[name] = append([]byte{}, data...)
		}
	}
	for _, v := range spec.Variables {
		if data := out.sections[v.SectionName]; int(v.Offset) <= len(data) {
			copy(data[v.Offset:], v.Value)
		}
	}
	return out
}

// Section is the content of one section; nil if there is none of that name.
func (c *Constants) Section(name string) []byte { return c.sections[name] }
