//go:build !failpoints

package apply

// failPoint marks a step of apply at which a test build kills the process.
func failPoint(string) {}
