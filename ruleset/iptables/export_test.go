package iptables

import "net"

// NewSystem gives the names of a host whose files are under root.
func NewSystem(root string) *System { return newSystem(root, net.DefaultResolver) }
