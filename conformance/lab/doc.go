// Package lab builds a small network in scratch namespaces, loads rules into its
// middle and watches what becomes of packets.
//
//	client --+                       +-- server
//	         |  eth0           eth1  |
//	         +------- host ----------+
//
// In: the names of the host's interfaces, addresses that are local to it or lie
// behind an interface, rules as text, packets. Out: for every packet the events
// that followed: hooks passed, frames that came out, errors that local senders
// saw. What is refused: more interfaces than MaxInterfaces.
//
//	l, err := lab.New(lab.Options{Interfaces: []string{"eth0", "eth1"}})
//	defer l.Close()
//	err = lab.Legacy{}.Apply(l.Host(), packet.IPv4, rules)
//	events, err := l.Send(p)
//
// The first interface leads to the client, all others to the server. Neither
// answers, except the server's own address, where its kernel does. Nothing moves in the lab but what is sent: neighbours
// are static, the links have no ARP and no multicast, and error rates are not
// limited. A thread that sends stays on one processor, where the kernel passes a
// packet on from device to device in order; a mark frame sent behind it twice
// therefore tells when it is through (Lab.settle). There are no sleeps.
package lab
