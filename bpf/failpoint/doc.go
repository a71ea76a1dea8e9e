// Package failpoint marks the steps of commands that change the kernel or files, at which
// a test build kills the process.
//
// In: the name of a step. Out: nothing, in a usual build. With the tag "failpoints" the
// variable BPFTABLES_FAILPOINT names the step at which the process is killed, or with "#7"
// the seventh step that it comes to, whatever its name; "?" prints all of them.
package failpoint
