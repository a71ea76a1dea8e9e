package conformance_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayInclude is the layering of the C datapath: the folders whose headers a header of each
// folder may include. A compiled program may include all.
var mayInclude = map[string][]string{
	"facts":     {"facts", "conntrack"},
	"conntrack": {"conntrack", "facts"},
	"route":     {"route", "facts"},
	"memory":    {"memory", "facts"},
	"lookup":    {"lookup", "facts"},
	"netfilter": {"netfilter", "lookup", "conntrack", "facts"},
	"early":     {"early", "lookup", "netfilter", "facts"},
}

var include = regexp.MustCompile(`(?m)^#include "(.*)"`)

// TestIncludes wants headers to include but what lies below them, and never in a circle.
func TestIncludes(t *testing.T) {
	root := filepath.Join("..", "bpf")
	headers, err := filepath.Glob(filepath.Join(root, "*", "*.h"))
	if err != nil || len(headers) == 0 {
		t.Fatal("no headers", err)
	}
	includes := map[string][]string{}
	for _, file := range headers {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), filepath.ToSlash(root)+"/")
		for _, m := range include.FindAllStringSubmatch(string(text), -1) {
			includes[name] = append(includes[name], m[1])
			if !slices.Contains(mayInclude[path.Dir(name)], path.Dir(m[1])) {
				t.Errorf("bpf/%s may not include %s", name, m[1])
			}
		}
	}
	for name := range includes {
		checkCircle(t, includes, []string{name})
	}
}

func checkCircle(t *testing.T, includes map[string][]string, way []string) {
	t.Helper()
	for _, next := range includes[way[len(way)-1]] {
		if next == way[0] {
			t.Errorf("headers include each other: %s", strings.Join(append(way, next), " -> "))
		} else if !slices.Contains(way, next) {
			checkCircle(t, includes, append(slices.Clone(way), next))
		}
	}
}
