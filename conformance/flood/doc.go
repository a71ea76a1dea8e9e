// Package flood feeds frames into the receive path of a network namespace, as many as the
// kernel takes, and says what one cost.
//
//	 far                                 host
//	wire0 ------------------------------ net0   192.0.2.1, 2001:db8:ffff::1,
//	                                            198.18.0.0/15 and 2001:db8::/32 are local
//
// In: packets from the IP header on. Out: the kernel's time per frame, and how many
// of which were sent. The frames go in by BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES
// (net/bpf/test_run.c, bpf_test_run_xdp_live): a program writes the next packet of a list into
// each frame and returns XDP_PASS, and the kernel takes it through the stack, in the
// same thread. Sent on the wire, the program redirects it to wire0 instead: the frame
// then passes the driver of net0 and its native XDP program (ndo_xdp_xmit and NAPI of
// drivers/net/veth.c), still in the same thread. Refused: packets that do not fit
// into one frame of 256 bytes.
//
//	host, err := flood.NewHost("legacy")
//	defer host.Remove()
//	f, err := host.NewFeeder(flood.Options{Packets: packets, CPU: 1})
//	defer f.Close()
//	perFrame, err := f.Feed(6400)
package flood
