// Package cgroup finds control groups of the unified hierarchy (cgroup2) by their paths.
//
// In: a path as a rule names it, below the root that this process sees. Out: the number that the
// kernel gives the group, which no other one gets. Refused: what the kernel does not find by such a path.
//
//	id, err := cgroup.ID("system.slice/sshd.service")
package cgroup

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ID gives the number of a group, as cgroup_get_from_path() finds it (kernel/cgroup/cgroup.c): from the root of
// the control group namespace on, wherever the hierarchy is mounted, if at all. Names of one and two dots are names.
func ID(path string) (uint64, error) {
	names := Names(path)
	if slices.Contains(names, ".") || slices.Contains(names, "..") {
		return 0, fmt.Errorf("control group %q: %w", path, unix.ENOENT)
	}
	root, err := open()
	if err != nil {
		return 0, fmt.Errorf("cgroup2: %w", err)
	}
	defer unix.Close(root)
	var s unix.Stat_t
	fd, err := unix.Openat(root, "./"+strings.Join(names, "/"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Fstat(fd, &s)
		_ = unix.Close(fd)
	}
	if err != nil {
		return 0, fmt.Errorf("control group %q: %w", path, err)
	}
	return s.Ino, nil
}

// Names are the names on the way to a group.
func Names(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// open gives the root of the hierarchy, mounted nowhere.
func open() (int, error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}
