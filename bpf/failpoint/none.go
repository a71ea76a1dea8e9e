//go:build !failpoints

package failpoint

// At marks a step.
func At(string) {}
