// Package packet describes one packet as a rule may ask about it.
//
// In: the bytes of a packet from its IP header on, or the one-line packet
// language of the command line ("tcp 192.0.2.7:5555 > 198.51.100.1:22 in eth0
// flags syn"). Out: Facts, the values that matches and predicates read. What is
// refused: text that does not parse; bytes are never refused, a cut or malformed
// packet is a packet whose facts say so.
package packet
