package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// batch is how many frames the kernel takes through the stack at a time.
const batch = 64

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of include/uapi/linux/bpf.h.
const liveFrames = 1 << 1

// flow is the one flow that the frames belong to.
type flow struct {
	src  netip.Addr
	port uint16
}

// feeder feeds the frames of one flow into a namespace.
type feeder struct {
	space *space
	prog  *ebpf.Program
	frame []byte
	xdp   []byte // struct xdp_md
}

func newFeeder(s *space, f flow) (*feeder, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		return nil, fmt.Errorf("load the feeding program: %w", err)
	}
	in := &feeder{space: s, prog: prog}
	err = s.do(func() error {
		dev, err := net.InterfaceByName(hostDevice)
		if err != nil {
			return err
		}
		in.frame = udpFrame(dev.HardwareAddr, f)
		var b bytes.Buffer
		// data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
		err = binary.Write(&b, binary.NativeEndian, [6]uint32{1: uint32(len(in.frame)), 3: uint32(dev.Index)})
		in.xdp = b.Bytes()
		return err
	})
	return in, err
}

func (in *feeder) close() { in.prog.Close() }

// testRun is the part of union bpf_attr for BPF_PROG_TEST_RUN (include/uapi/linux/bpf.h).
// It is spelled here because ebpf.Program.Run does not give the duration, and the
// time around the system call is mostly an RCU grace period (bpf_prog_change_xdp).
type testRun struct {
	progFD, retval          uint32
	dataSizeIn, dataSizeOut uint32
	dataIn, dataOut         unsafe.Pointer
	repeat, duration        uint32
	ctxSizeIn, ctxSizeOut   uint32
	ctxIn, ctxOut           unsafe.Pointer
	flags, cpu, batchSize   uint32
}

// feed takes n frames through the stack on one processor with real-time priority
// and gives the time that one took.
func (in *feeder) feed(n, cpu int) (perFrame time.Duration, err error) {
	err = in.space.do(func() error {
		if err := claim(cpu); err != nil {
			return err
		}
		attr := testRun{
			progFD: uint32(in.prog.FD()), repeat: uint32(n), flags: liveFrames, batchSize: batch,
			dataIn: unsafe.Pointer(&in.frame[0]), dataSizeIn: uint32(len(in.frame)),
			ctxIn: unsafe.Pointer(&in.xdp[0]), ctxSizeIn: uint32(len(in.xdp)),
		}
		for {
			_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
			switch errno {
			case 0:
				perFrame = time.Duration(attr.duration)
				return nil
			case unix.EINTR: // a signal: once more from the start
			default:
				return fmt.Errorf("BPF_PROG_TEST_RUN with live frames: %w", errno)
			}
		}
	})
	return perFrame, err
}

// claim binds the thread to a processor, ahead of everything that is not real-time.
func claim(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind to processor %d: %w", cpu, err)
	}
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return fmt.Errorf("real-time priority: %w", err)
	}
	return nil
}

// udpFrame is the smallest Ethernet frame of the flow; its UDP checksum is left out.
func udpFrame(mac net.HardwareAddr, f flow) []byte {
	b := make([]byte, 64)
	copy(b, mac)
	b[6] = 2 // a locally administered source address
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IP)
	ip, udp := b[14:34], b[34:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(len(b)-14))
	ip[8], ip[9] = 64, unix.IPPROTO_UDP
	copy(ip[12:], f.src.AsSlice())
	copy(ip[16:], netip.MustParseAddr(hostAddress).AsSlice())
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	binary.BigEndian.PutUint16(udp, 40000)
	binary.BigEndian.PutUint16(udp[2:], f.port)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	return b
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
