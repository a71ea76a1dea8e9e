// Package attach loads generated programs, links them to the hooks of netfilter and
// switches between generations.
//
// In: codegen.Program values of one family. Out: a Generation that is enforced in the
// current network namespace from Activate on, and outlives the process. Refused:
// programs that the kernel's verifier does not take (RefusedError names the rule).
//
//	/run/bpftables/bpf            a bpffs, mounted where process 1 sees it
//	  NETNS/FAMILY/               NETNS is the inode of the namespace
//	    progs active notes ...    maps that outlive generations
//	    links/1-INPUT:-1 ...      links of the constant entry programs: level, hook, priority
//	    links/guard-1-INPUT:1     behind netfilter's table, where it runs actions for us
//	    gen-7/counters ...        maps and shim programs of one generation
//	/run/bpftables/NETNS/FAMILY/  state of the caller (Space.Dir)
//
// The steps load, install, activate and retire are separate so that a killed process
// leaves either the old or the new generation enforced.
package attach
