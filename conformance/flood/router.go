package flood

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// What makes the host a router: a second wire, at whose end everything is dropped in the
// driver.
//
//	far                       host                       far
//	wire0 ------------- net0        out0 ------------- sink0
const (
	outDevice  = "out0"
	sinkDevice = "sink0"
	sinkMAC    = "02:00:00:00:00:02"
)

// BeyondAddr is an address behind the second wire.
var BeyondAddr = netip.MustParseAddr("203.0.113.2")

var routerLines = []string{
	"ip address add 203.0.113.1/24 dev " + outDevice,
	"ip link set " + outDevice + " up",
	"ip neigh replace " + BeyondAddr.String() + " lladdr " + sinkMAC + " dev " + outDevice + " nud permanent",
}

// Route makes the host forward packets to BeyondAddr.
func (h *Host) Route() error {
	add := []string{
		"ip", "link", "add", outDevice, "type", "veth", "peer", "name", sinkDevice, "address", sinkMAC, "netns", h.Far.Name,
	}
	if err := h.Command(add...); err != nil {
		return err
	}
	for _, line := range routerLines {
		if err := h.Command(strings.Fields(line)...); err != nil {
			return err
		}
	}
	if err := h.Far.Command("ip", "link", "set", sinkDevice, "up"); err != nil {
		return err
	}
	err := h.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	if err != nil {
		return err
	}
	return h.sink()
}

// sink drops what comes to the end of the second wire.
func (h *Host) sink() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1 /* XDP_DROP */), asm.Return()},
	})
	if err != nil {
		return fmt.Errorf("load the dropping program: %w", err)
	}
	defer prog.Close()
	return h.Far.Do(func() error {
		dev, err := net.InterfaceByName(sinkDevice)
		if err != nil {
			return err
		}
		h.sunk, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev.Index, Flags: link.XDPDriverMode})
		return err
	})
}

// Answer sends one packet from the end of the second wire to the host.
func (h *Host) Answer(packet []byte) error {
	out, err := h.device(outDevice)
	if err != nil {
		return err
	}
	all, err := frames(out.HardwareAddr, [][]byte{packet})
	if err != nil {
		return err
	}
	return h.Far.Do(func() error {
		dev, err := net.InterfaceByName(sinkDevice)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, all[0], 0, &unix.SockaddrLinklayer{Ifindex: dev.Index, Halen: 6})
	})
}
