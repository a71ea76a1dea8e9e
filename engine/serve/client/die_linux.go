package client

import (
	"syscall"
	"unsafe"
)

// action is the kernel's struct sigaction with the default action.
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// die ends this process by a signal, as the command would have ended here.
func die(sig syscall.Signal) {
	// The runtime of Go has taken the signal; errors leave the exit code.
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action{})), 0, 8, 0, 0)
	_ = syscall.Kill(syscall.Getpid(), sig)
}
