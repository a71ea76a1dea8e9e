package flood

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Batch is how many frames the kernel takes through the stack at a time.
const Batch = 64

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of include/uapi/linux/bpf.h.
const liveFrames = 1 << 1

// Options say what to feed, and where.
type Options struct {
	Packets [][]byte // from the IP header on; sent in order, again and again
	Wire    bool     // through the driver of the host's interface
	CPU     int      // the processor to run on; below 0: any
	Fair    bool     // as any process; otherwise with real-time priority on the processor
}

// Feeder feeds the packets.
type Feeder struct {
	space *Space // that the frames start in
	cpu   int
	fair  bool
	prog  *ebpf.Program
	kept  link.Link
	at    *ebpf.Map
	frame []byte
	xdp   []byte // struct xdp_md
}

// NewFeeder prepares the frames.
func (h *Host) NewFeeder(o Options) (*Feeder, error) {
	dev, err := h.device(HostDevice)
	if err != nil {
		return nil, err
	}
	f := &Feeder{space: h.Space, cpu: o.CPU, fair: o.Fair}
	in, redirect := dev.Index, 0
	if o.Wire {
		wire, err := h.Far.device(FarDevice)
		if err != nil {
			return nil, err
		}
		f.space, in, redirect = h.Far, wire.Index, wire.Index
	}
	frames, err := frames(dev.HardwareAddr, o.Packets)
	if err != nil {
		return nil, err
	}
	f.frame = frames[0]
	if f.prog, f.at, err = load(frames, redirect); err != nil {
		return nil, err
	}
	if err := f.keep(h.Far); err != nil {
		return nil, errors.Join(err, f.prog.Close(), f.at.Close())
	}
	var b bytes.Buffer
	// data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
	if err := binary.Write(&b, binary.NativeEndian, [6]uint32{1: uint32(len(f.frame)), 3: uint32(in)}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.xdp = b.Bytes()
	return f, nil
}

// keep attaches the program to an interface where nothing comes. While a program
// runs or is attached, the kernel has it in a list of direct calls, and each change
// of the list waits for an RCU grace period, many milliseconds (bpf_prog_change_xdp in
// net/core/filter.c, kernel/bpf/dispatcher.c).
func (f *Feeder) keep(far *Space) error {
	return far.Do(func() (err error) {
		dev, err := net.InterfaceByName(keepDevice)
		if err != nil {
			return err
		}
		f.kept, err = link.AttachXDP(link.XDPOptions{Program: f.prog, Interface: dev.Index, Flags: link.XDPDriverMode})
		return err
	})
}

// Close releases the frames.
func (f *Feeder) Close() error { return errors.Join(f.kept.Close(), f.prog.Close(), f.at.Close()) }

// Sent is how many frames have been sent since the start: packet i of n has been
// sent Sent/n times, once more if i is below the rest.
func (f *Feeder) Sent() (uint64, error) {
	var at position
	err := f.at.Lookup(uint32(0), &at)
	return at.Sent, err
}

// testRun is the part of union bpf_attr for BPF_PROG_TEST_RUN (include/uapi/linux/bpf.h).
// It is spelled here because ebpf.Program.Run does not give the duration.
type testRun struct {
	progFD, retval          uint32
	dataSizeIn, dataSizeOut uint32
	dataIn, dataOut         unsafe.Pointer
	repeat, duration        uint32
	ctxSizeIn, ctxSizeOut   uint32
	ctxIn, ctxOut           unsafe.Pointer
	flags, cpu, batchSize   uint32
}

// Feed takes n frames through the stack and gives the time that one took. A signal
// may make them more.
func (f *Feeder) Feed(n int) (perFrame time.Duration, err error) {
	err = f.space.Do(func() (err error) {
		if err := f.place(); err != nil {
			return err
		}
		perFrame, err = f.feed(n)
		return err
	})
	return perFrame, err
}

// FeedAll feeds batches of n frames, from one thread, until next says no.
func (f *Feeder) FeedAll(n int, next func() bool) error {
	return f.space.Do(func() error {
		if err := f.place(); err != nil {
			return err
		}
		for next() {
			if _, err := f.feed(n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *Feeder) feed(n int) (perFrame time.Duration, err error) {
	attr := testRun{
		progFD: uint32(f.prog.FD()), repeat: uint32(n), flags: liveFrames, batchSize: min(Batch, uint32(n)),
		dataIn: unsafe.Pointer(&f.frame[0]), dataSizeIn: uint32(len(f.frame)),
		ctxIn: unsafe.Pointer(&f.xdp[0]), ctxSizeIn: uint32(len(f.xdp)),
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		switch errno {
		case 0:
			return time.Duration(attr.duration), nil
		case unix.EINTR: // a signal: once more from the start
		default:
			return 0, fmt.Errorf("BPF_PROG_TEST_RUN with live frames: %w", errno)
		}
	}
}

// place puts the thread where the options say: on a processor, there ahead of everything
// that is not real-time.
func (f *Feeder) place() error {
	if f.cpu < 0 {
		return nil
	}
	if err := Bind(f.cpu); err != nil || f.fair {
		return err
	}
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return fmt.Errorf("real-time priority: %w", err)
	}
	return nil
}

// Bind binds the thread to a processor.
func Bind(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind to processor %d: %w", cpu, err)
	}
	return nil
}
