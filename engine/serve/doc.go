// Package serve is the resident form of bpftables: it runs the commands of other
// processes, as if they ran them themselves, with what it keeps in memory.
//
// In: connections of package client, each of which brings one command line with the
// streams and namespaces of its process. Out: what the command prints, on those
// streams, and its exit code. Refused, so that the client works alone: peers that are
// not root with the server's own rights, that see other processes, or that are another
// version.
//
//	s := serve.New(serve.Options{Run: run})
//	err := s.Serve(ctx, listener)
//
// A command runs on a thread of its own in the network and mount namespace of the
// client, so commands for different namespaces run side by side; changes take the
// xtables lock as they do in a process of their own. Nothing depends on the server: what
// it keeps can be read again, and when it is killed the next command finds what any
// killed command leaves.
package serve
