package rows_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/choice"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

var update = flag.Bool("update", false, "write the layouts into the golden files")

// fixed are options with which the same rules are laid out alike on every machine.
var fixed = rows.Options{
	Costs: choice.Reference{},
	Keys:  layout.HashKeys{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93},
}

// lay lays out the rules of a text.
func lay(t *testing.T, text string, family packet.Family, how translate.Classifier) *rows.Image {
	t.Helper()
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: family, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	image, err := codegen.Image(translate.Translate(rs, translate.Options{Classifier: how, Can: shim.Can}).Plan, fixed)
	if err != nil {
		t.Fatal(err)
	}
	image.Index[layout.OwnLayout] = 0 // which program has made it
	return image
}

// compare holds what was found against a golden file, or writes it there.
func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(file)
	if *update {
		err = os.WriteFile(file, got, 0o644)
		want = got
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: layouts have changed: look at the difference after -update\n%s", file, got)
	}
}

// TestGolden fails when the words of a layout change.
func TestGolden(t *testing.T) {
	const file = "testdata/few.txtar"
	in, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: in.Comment}
	for _, f := range in.Files {
		family := packet.IPv4
		if f.Name == "rules.v6" {
			family = packet.IPv6
		}
		if strings.HasPrefix(f.Name, "rules") {
			layout := txtar.File{Name: "layout", Data: words(lay(t, string(f.Data), family, translate.ClassifyTuples))}
			out.Files = append(out.Files, f, layout)
		}
	}
	compare(t, file, txtar.Format(out))
}

// words are the rows and the index, without words that are zero.
func words(image *rows.Image) []byte {
	var b bytes.Buffer
	size := int(image.RowSize())
	for n := 0; len(image.Rows) > n*size; n++ {
		writeWords(&b, fmt.Sprintf("row %d", n), image.Rows[n*size:(n+1)*size])
	}
	const line = 16
	for at := 0; at < len(image.Index); at += line {
		writeWords(&b, fmt.Sprintf("index %d", at), image.Index[at:min(at+line, len(image.Index))])
	}
	for _, c := range image.Choices {
		fmt.Fprintf(&b, "chain %s %s: %s\n", c.Table, c.Chain, c)
	}
	return b.Bytes()
}

func writeWords(b *bytes.Buffer, what string, words []uint32) {
	if !slices.ContainsFunc(words, func(w uint32) bool { return w != 0 }) {
		return
	}
	b.WriteString(what + ":")
	for _, w := range words {
		fmt.Fprintf(b, " %x", w)
	}
	b.WriteByte('\n')
}

// TestGoldenShapes fails when the layout of longer chains changes, which has tuples, trees
// and both; it is told by sums of the words.
func TestGoldenShapes(t *testing.T) {
	var b bytes.Buffer
	for _, kind := range []shapes.Kind{shapes.Same, shapes.ACL, shapes.FW, shapes.IPC} {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			set, err := shapes.New(shapes.Options{Kind: kind, Family: family, Rules: 1500, Seed: 7})
			if err != nil {
				t.Fatal(err)
			}
			set.Roughen(rand.New(rand.NewPCG(1, 1)), 5, nil)
			text := set.Text(shapes.Frame{Policy: "ACCEPT"})
			for _, how := range []translate.Classifier{translate.ClassifyAuto, translate.ClassifyTuples, translate.ClassifyTree} {
				image := lay(t, text, family, how)
				fmt.Fprintf(&b, "%s %s %s: rows %08x, index %08x, %s\n", kind, family, translate.ClassifierNames[how],
					sum(image.Rows), sum(image.Index), image.Choices[0])
			}
		}
	}
	compare(t, "testdata/shapes.txt", b.Bytes())
}

func sum(words []uint32) uint32 {
	h := crc32.NewIEEE()
	binary.Write(h, binary.LittleEndian, words)
	return h.Sum32()
}
