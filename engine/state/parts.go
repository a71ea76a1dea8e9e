package state

import (
	"maps"
	"slices"
)

// appendParts appends parts as the base has them: for each its name and its bytes, both behind their lengths.
func appendParts(b []byte, parts map[string][]byte) []byte {
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if len(parts[name]) == 0 {
			continue
		}
		b = appendBytes(appendBytes(b, name), parts[name])
	}
	return b
}

// readParts reads them back; nil where they end too early.
func readParts(b []byte) map[string][]byte {
	out, r := map[string][]byte{}, opReader{b: b}
	for len(r.b) > 0 {
		name := string(r.bytes())
		out[name] = r.bytes()
	}
	if r.bad {
		return nil
	}
	return out
}
