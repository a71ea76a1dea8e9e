package ruleset_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
)

// What an error repeats of a text is fit for a terminal.
func TestErrorIsPrintable(t *testing.T) {
	for thing, want := range map[string]string{
		"-p":                        "-p: wrong",
		"gr\u00fcn":                 "gr\u00fcn: wrong",
		"\x1b[2J\x00x":              `"\x1b[2J\x00x": wrong`,
		"\xff\xfe":                  `"\xff\xfe": wrong`,
		strings.Repeat("c", 100000): strings.Repeat("c", 250) + "...: wrong",
	} {
		if got := (&ruleset.Error{Thing: thing, What: "wrong"}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
