package main

import (
	"fmt"
	"net"
	"strings"
)

// listen answers on all addresses until the process is killed.
func listen(where []string) error {
	failed := make(chan error)
	for _, w := range where {
		protocol, address, _ := strings.Cut(w, ":")
		serve, err := open(protocol, address)
		if err != nil {
			return err
		}
		go func() { failed <- serve() }()
	}
	fmt.Println("ready")
	return <-failed
}

// open binds one address; the function that it gives answers there.
func open(protocol, address string) (serve func() error, err error) {
	switch protocol {
	case "tcp":
		l, err := net.Listen("tcp", address)
		return func() error { return serveTCP(l) }, err
	case "udp":
		c, err := net.ListenPacket("udp", address)
		return func() error { return serveUDP(c) }, err
	}
	return nil, fmt.Errorf("%s:%s: want tcp:ADDRESS:PORT or udp:ADDRESS:PORT", protocol, address)
}

func serveTCP(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

func serveUDP(c net.PacketConn) error {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		// A reply that the firewall stops is the asker's to notice.
		_, _ = c.WriteTo(buf[:n], from)
	}
}
