package conformance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// ErrNoCorpus says that there are no rulesets to try.
var ErrNoCorpus = errors.New("no corpus: set BPFTABLES_CORPUS to a directory with iptables/*, or put it at ../shared/corpus beside the repository")

// MustCorpus is Corpus for a test, which is skipped where there is none; where REQUIRE_KERNEL is
// set, as in CI, it fails instead.
func MustCorpus(t tester, root string) []CorpusFile {
	t.Helper()
	files, err := Corpus(root)
	if errors.Is(err, ErrNoCorpus) && os.Getenv("REQUIRE_KERNEL") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// tester is a testing.TB: package testing is not for a program that verifies.
type tester interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
}

// CorpusFile is one ruleset of the corpus.
type CorpusFile struct {
	Name   string
	Family packet.Family
	Text   []byte
}

// Corpus reads the rulesets of the corpus; root is that of the repository.
func Corpus(root string) ([]CorpusFile, error) {
	dir := os.Getenv("BPFTABLES_CORPUS")
	if dir == "" {
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	entries, err := os.ReadDir(filepath.Join(dir, "iptables"))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoCorpus, err)
	}
	var files []CorpusFile
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), ".tsv") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "iptables", e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, CorpusFile{Name: e.Name(), Family: familyOf(e.Name(), text), Text: text})
	}
	if len(files) == 0 {
		return nil, ErrNoCorpus
	}
	return files, nil
}

var (
	sixName = regexp.MustCompile(`(?i)ip6tables|ipv6|\.v6|rules6|6\.rules|iptables6|_v6`)
	sixText = regexp.MustCompile(`(?m)icmpv6|icmp6-|ipv6-icmp|^-A.* -[sd] [0-9a-f]*:[0-9a-f:]*(/| )`)
)

// familyOf guesses the family of a file from its name, else from its text.
func familyOf(name string, text []byte) packet.Family {
	if sixName.MatchString(name) || sixText.Match(text) {
		return packet.IPv6
	}
	return packet.IPv4
}
