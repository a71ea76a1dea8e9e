package callers

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed host.sh testdata/*.sh testdata/tables
var scripts embed.FS

// Programs is a set of the programs of iptables.
type Programs string

// The sets.
const (
	Legacy Programs = "legacy"
	NFT    Programs = "nft"
	Ours   Programs = "ours"
	Served Programs = "served" // ours, beside a server
)

// Setup is what a scenario is played on.
type Setup struct {
	Programs Programs
	Bin      string   // directory of our programs
	Callers  string   // what scripts/callers has laid out; "": the directory callers in Bin
	Env      []string // more variables
}

// Step is what a part of a scenario took.
type Step struct {
	Name string
	Took time.Duration
}

// Repeats is how often the scenario of single commands gives each kind of them in a step.
const Repeats = 5

// Names lists the scenarios.
func Names() []string {
	files, err := scripts.ReadDir("testdata")
	if err != nil {
		panic(err) // they are in the program
	}
	var out []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".sh"); ok {
			out = append(out, name)
		}
	}
	return out
}

// Play plays a scenario, which may have a size ("kube:50"), and gives what it printed.
func Play(s Setup, scenario string) (transcript string, err error) {
	return s.play(scenario, "")
}

// Time plays a scenario in silence, and gives what its steps took.
func Time(s Setup, scenario string) ([]Step, error) {
	out, err := s.play(scenario, "1")
	if err != nil {
		return nil, err
	}
	var steps []Step
	for line := range strings.Lines(out) {
		number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s printed %q", scenario, line)
		}
		steps = append(steps, Step{name, time.Duration(n) * time.Microsecond})
	}
	return steps, nil
}

func (s Setup) play(scenario, timed string) (string, error) {
	name, size, _ := strings.Cut(scenario, ":")
	if !slices.Contains(Names(), name) {
		return "", fmt.Errorf("%s: no such scenario; there are %s", name, strings.Join(Names(), ", "))
	}
	if s.Callers == "" {
		s.Callers = filepath.Join(s.Bin, "callers")
	}
	if _, err := os.Stat(filepath.Join(s.Callers, "root")); err != nil {
		return "", fmt.Errorf("%w; scripts/callers makes it", err)
	}
	dir, err := os.MkdirTemp("", "callers")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, scripts); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(s.Callers, "host"), 0o755); err != nil {
		return "", err
	}
	return s.run(dir, name, size, timed)
}

// run runs host.sh as the first process of a host.
func (s Setup) run(dir, name, size, timed string) (string, error) {
	cmd := exec.Command("unshare", "-nmpf", "--kill-child", "--mount-proc",
		"bash", filepath.Join(dir, "host.sh"), string(s.Programs), filepath.Join(dir, "testdata", name+".sh"))
	cmd.Env = append(os.Environ(), "CALLERS="+s.Callers, "EXAMPLES="+filepath.Join(s.Callers, "..", "..", "docs", "examples"), "BIN="+s.Bin, "N="+size, "TIMED="+timed)
	cmd.Env = append(cmd.Env, s.Env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() != broken && exit.Exited() {
		err = nil // what the last command of the scenario gave
	}
	if err != nil {
		return "", fmt.Errorf("%s with %s: %w: %s", name, s.Programs, err, strings.TrimSpace(errs.String()))
	}
	return out.String() + errs.String(), nil
}

// broken is the exit code of host.sh where there is no host.
const broken = 125
