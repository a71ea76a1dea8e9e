package rows

// Unsign forgets which program has made an image.
func Unsign(m *Image) { m.Index[ownLayout] = 0 }

// Count is how many rows an image has.
func Count(m *Image) int { return len(m.Rows) / int(m.rowSize()) }
