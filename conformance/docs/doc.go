// Package docs holds the tests of what the documentation says: the commands in
// README.md are run, their output is the one printed there, and the tables of
// words are those of match.Kinds and target.Kinds.
//
// "go test ./conformance/docs -update" writes what is out of date.
package docs
