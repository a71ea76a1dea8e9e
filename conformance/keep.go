package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Keep writes a case into a directory as NNNN-title.txtar, with the next free
// number, and gives the path.
func Keep(dir, title string, c *Case) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	have, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9][0-9]-*.txtar"))
	if err != nil {
		return "", err
	}
	next := 1
	for _, path := range have {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(path), "%04d-", &n); err == nil && n >= next {
			next = n + 1
		}
	}
	if c.Title == "" {
		c.Title = title
	}
	path := filepath.Join(dir, fmt.Sprintf("%04d-%s.txtar", next, slug(title)))
	return path, os.WriteFile(path, c.Marshal(), 0o644)
}

// slug is a title as part of a file name.
func slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	s := strings.Join(words, "-")
	return strings.Trim(s[:min(len(s), 48)], "-")
}
