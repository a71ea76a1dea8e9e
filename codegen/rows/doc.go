// Package rows lays out classified chains: rules as data that the datapath looks up, instead
// of code.
//
// In: the classified chains of a plan (plan.Class), and what lookups cost and are keyed with
// (Options). Out: the words of the two maps of bpf/lookup/rows.h. Refused: more chains or rows
// than have a number. What was chosen can be held against golden files: the same rules and
// options give the same words.
//
//	rows     Build: all chains of a plan, one image
//	rule     one rule as rows
//	layout   what lies where in the maps
//	choice   tuples, trees or a list for a chain, by what lookups cost
//	edit     changes in place
//
//	image, err := rows.Build(p, needs, rows.Drawn())
//	// fill the maps with image.Rows and image.Index
package rows
