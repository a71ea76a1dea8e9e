package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long an answer may take; in a lab all take microseconds.
const patience = 300 * time.Millisecond

// try sends one packet, or opens one connection, and says what came back.
func try(protocol, to string) (outcome string, err error) {
	switch protocol {
	case "tcp":
		c, err := net.DialTimeout("tcp", to, patience)
		if err == nil {
			c.Close()
			return "connected", nil
		}
		return came("refused by RST", err)
	case "udp":
		return tryUDP(to)
	case "ping":
		return ping(to)
	}
	return "", fmt.Errorf("%s: want ping, tcp or udp", protocol)
}

// came names an error of a socket; refused is what ECONNREFUSED stands for.
func came(refused string, err error) (string, error) {
	var timed net.Error
	switch {
	case errors.As(err, &timed) && timed.Timeout():
		return "no answer", nil
	case errors.Is(err, unix.ECONNREFUSED):
		return refused, nil
	case errors.Is(err, unix.EHOSTUNREACH):
		return "refused by ICMP", nil
	case errors.Is(err, unix.EPERM):
		return "not allowed to send", nil
	}
	return "", err
}

func tryUDP(to string) (string, error) {
	c, err := net.Dial("udp", to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return exchange(c, []byte("hello"), func([]byte) bool { return true })
}

func ping(to string) (string, error) {
	addr, err := netip.ParseAddr(to)
	if err != nil {
		return "", err
	}
	// Echo request and echo reply (RFC 792, RFC 4443).
	network, request, reply := "ip4:icmp", byte(8), byte(0)
	if addr.Is6() {
		network, request, reply = "ip6:ipv6-icmp", 128, 129
	}
	c, err := net.Dial(network, to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return exchange(c, echo(request), func(b []byte) bool {
		if addr.Is4() && len(b) > 0 {
			b = b[min(len(b), int(b[0]&0xf)*4):] // a raw IPv4 socket gives the IP header, too
		}
		return len(b) > 0 && b[0] == reply
	})
}

// echo is an ICMP message whose identifier makes it a connection of its own; the
// kernel fills in the checksum of ICMPv6.
func echo(typ byte) []byte {
	id := uint16(os.Getpid())
	b := []byte{typ, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}
	sum := uint32(typ)<<8 + uint32(id) + 1
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// exchange sends a message and waits for an answer that the caller takes for one.
func exchange(c net.Conn, message []byte, answer func([]byte) bool) (string, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := c.Write(message); err != nil {
		return came("refused by ICMP", err)
	}
	buf := make([]byte, 1500)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return came("refused by ICMP", err)
		}
		if answer(buf[:n]) {
			return "answered", nil
		}
	}
}
