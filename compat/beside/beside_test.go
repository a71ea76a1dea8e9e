package beside

import "testing"

// Each part of a text has its own lines, with their numbers.
func TestSplit(t *testing.T) {
	text := "# all\n*filter\n-A INPUT -j DROP\nCOMMIT\n*nat\n-F\nCOMMIT\n*raw\n-F\nCOMMIT\n"
	parts, rest := split([]byte(text), func(table string) string {
		return map[string]string{"filter": "legacy", "raw": "legacy"}[table]
	})
	if want := "# all\n\n\n\n*nat\n-F\nCOMMIT\n\n\n\n"; string(rest) != want {
		t.Errorf("the rest is %q, want %q", rest, want)
	}
	if want := "\n*filter\n-A INPUT -j DROP\nCOMMIT\n\n\n\n*raw\n-F\nCOMMIT\n"; len(parts) != 1 || string(parts["legacy"]) != want {
		t.Errorf("the part is %q, want %q", parts["legacy"], want)
	}
}
