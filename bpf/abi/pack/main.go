// Command pack writes the form of a compiled object that is read at run time (package
// object).
//
// In: the name of an object. Out: the same, encoded, beside it, with .bin at its end.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/object"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := pack(name); err != nil {
			fmt.Fprintf(os.Stderr, "pack: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

func pack(name string) error {
	file, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(file))
	if err != nil {
		return err
	}
	data, err := object.Encode(spec, file)
	if err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(name, ".o")+".bin", data, 0o644)
}
