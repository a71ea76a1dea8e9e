package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// labName is the name of a namespace of a lab: it tells the process that made it.
var labName = regexp.MustCompile(`^bt-([0-9]+)-[0-9]+[chs]$`)

// reap removes the namespaces of labs whose process was killed before it could.
func reap() {
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		return // there are no named namespaces
	}
	for _, e := range entries {
		m := labName.FindStringSubmatch(filepath.Base(e.Name()))
		if m == nil {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%s", m[1])); os.IsNotExist(err) {
			run("ip", "netns", "del", e.Name())
		}
	}
}
