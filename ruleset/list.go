package ruleset

import "net/netip"

// Lister is a match or target that iptables -L shows.
type Lister interface {
	// List is its text in the listing, without the space that separates it from
	// what stands before it. Empty: nothing is shown. names is nil for -n.
	List(names Names) string
}

// Names finds the name of a number, for listings. A method gives false when the
// number has no name.
type Names interface {
	// Service is the name of a port; proto is "tcp", "udp" and so on, or empty.
	Service(port uint16, proto string) (string, bool)
	// Address is the host name of an address.
	Address(a netip.Addr) (string, bool)
	// UserName and GroupName are the names of numeric ids.
	UserName(id uint32) (string, bool)
	GroupName(id uint32) (string, bool)
	// NameIn is the name of a number in a file of names, as Resolver.Named.
	NameIn(file string, number uint32) (string, bool)
}
