package attach

// dropStale removes what a namespace left that had the same inode number before.
func (s *Space) dropStale() error { return nil }
