// Package rule makes rows of rules.
//
// In: a rule of a plan. Out: a Row, or several for a list of ports: fields for the usual
// conditions (addresses, protocol, ports, TCP flags, conntrack state), a program for all
// others in the order of the rule, and what the row does (Action). Refused: conditions that
// cannot be looked up, and programs that are too long.
//
// A condition may only leave the order of its rule if nobody can notice: behind one that has
// a memory or may answer hotdrop, all others stay in the program.
//
//	-s 192.0.2.0/24 -p tcp --dport 22 -m mark --mark 7
//
// has a source with its mask, a protocol and a range of ports; its program asks for the mark.
package rule
