package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		exit(play(role))
	}
	short := flag.Bool("short", os.Getenv("BENCH_SHORT") != "", "only see that everything runs (env BENCH_SHORT)")
	program := flag.String("bpftables", "bin/bpftables", "the bpftables program")
	most := flag.Int("most", 0, "measure no more rules than so many")
	docs := flag.String("docs", "", "directory for the page, its plots and its data; by default the page is printed")
	flag.Parse()
	b := &bench{program: *program, size: full, progress: os.Stderr, cpu: runtime.NumCPU() - 1}
	if *short {
		b.size = small
	}
	if *most > 0 {
		b.size.limitTo(*most)
	}
	exit(b.run(flag.Args(), *docs))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench is one run of the command.
type bench struct {
	program  string
	size     size
	progress io.Writer
	cpu      int // where packets are processed
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}

// run measures the named parts, all if there are no names, and writes what is known.
func (b *bench) run(names []string, docs string) (err error) {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	if _, err := os.Stat(b.program); err != nil {
		return fmt.Errorf("%w; 'make build' makes it", err)
	}
	lock, err := os.CreateTemp("", "bench-lock")
	if err != nil {
		return err
	}
	defer os.Remove(lock.Name())
	defer lock.Close()
	// Not the lock that others wait for: the namespaces are ours.
	if err := os.Setenv("XTABLES_LOCKFILE", lock.Name()); err != nil {
		return err
	}
	known, err := readResults(docs)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		start := time.Now()
		r := &result{Machine: machine(), Date: start.Format("2006-01-02")}
		if err := p.measure(b, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		known[p.name] = r
		b.say("%s took %.0f s", p.name, time.Since(start).Seconds())
		if err := known.write(docs); err != nil { // also when a later part fails
			return err
		}
	}
	return known.publish(docs, b.progress)
}

// choose gives the parts with these names, in order.
func choose(names []string) ([]*part, error) {
	if len(names) == 0 {
		return parts, nil
	}
	var chosen []*part
	var errs []error
	for _, n := range names {
		p := partNamed(n)
		if p == nil {
			errs = append(errs, fmt.Errorf("%s: no such part; there are %s", n, strings.Join(partNames(), ", ")))
			continue
		}
		chosen = append(chosen, p)
	}
	return chosen, errors.Join(errs...)
}
