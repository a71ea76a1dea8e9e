// Package translate turns a Ruleset into a Plan.
//
// In: a checked ruleset. Out: for every table where it runs, and for those that
// run in BPF the functions of each hook. A table with a match or target that BPF
// cannot do exactly is left to netfilter as a whole, with a Reason that says which
// line and why; nothing is refused here.
//
//	filter INPUT  --> func "chain" (rules, policy) --> func "c3" (user chain) ...
//
// Passes, in order: unfold (rules with several effects become more rules), lower (matches to predicates), hooks (which chains can be
// reached from where), actions (numbers for netfilter's own targets), functions
// (calls, parts, what is put inline).
package translate
