package abi

import (
	"crypto/sha256"
	_ "embed" // of the objects

	"github.com/bpftables/bpftables/bpf/object"
)

//go:embed netfilter_bpfel.bin
var netfilterPacked []byte

//go:embed shim_bpfel.bin
var shimPacked []byte

// Netfilter is the compiled bpf/netfilter.bpf.c. Its ELF file has to be read only where the
// kernel's answers for it are not known yet.
func Netfilter() (*object.Object, error) { return object.Decode(netfilterPacked) }

// NetfilterSum is the checksum of its ELF file.
func NetfilterSum() [sha256.Size]byte { return object.Sum(netfilterPacked) }

// Shim is the compiled bpf/shim.bpf.c.
func Shim() (*object.Object, error) { return object.Decode(shimPacked) }
