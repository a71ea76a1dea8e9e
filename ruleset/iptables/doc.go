// Package iptables reads and prints the languages of the legacy tools: the text of
// iptables-save and iptables-restore, the rules of one command line, and the
// listing of iptables -L.
//
// In: text, or the arguments of one command. Out: a ruleset.Ruleset with the
// position of every rule; and, from a Ruleset, the text that iptables-legacy-save
// 1.8.9 prints for it, byte for byte. What is refused: all that
// iptables-legacy-restore 1.8.9 or the kernel behind it refuses, every fault of a
// file at once, each with its line and column:
//
//	rs, report, err := iptables.Read(file, iptables.Options{
//		File: "rules.v4", Family: packet.IPv4, Resolver: iptables.NewResolver(),
//	})
//	err = iptables.Print(os.Stdout, rs, iptables.PrintOptions{Counters: true})
//
// The reader is in two halves. The first walks the lines (restore.go) and hands
// each rule to the second, which is getopt_long() over a growing table of options
// (getopt.go, spec.go) as iptables itself is. Tables are edited through edit.go,
// which refuses what libiptc refuses, and a finished table is checked as the
// kernel checks it (hooks.go, check.go).
package iptables
