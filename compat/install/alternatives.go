package install

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/compat/face"
	"github.com/bpftables/bpftables/compat/tool"
)

// adminDirs are where update-alternatives keeps its groups: dpkg's, chkconfig's of Fedora, and
// dpkg's as openSUSE packs it. A group is a file; all have the same form (alternative_load() in
// dpkg's utils/update-alternatives.c, readConfig() in chkconfig's alternatives.c): the mode, the
// link, pairs of name and link for what follows it, an empty line; then for each choice its path,
// priority, and a path for each follower.
var adminDirs = []string{"/var/lib/dpkg/alternatives", "/var/lib/alternatives", "/var/lib/rpm/alternatives"}

const (
	linkDir  = "/etc/alternatives"
	priority = "100" // above those of the distributions, 10 and 20
)

// group is a group of update-alternatives.
type group struct {
	name    string
	link    string
	manual  bool
	slaves  []slave
	choices []choice
}

type slave struct{ name, link string }

// choice is a program that a group may stand for.
type choice struct {
	path   string
	slaves []string // "": it has none
}

// groups are those of the commands; dir is where they are, "" if there is no update-alternatives.
type groups struct {
	all []*group
	dir string
}

// findGroups reads the groups of the host.
func findGroups() (*groups, error) {
	out := &groups{}
	if _, err := program("update-alternatives"); err != nil {
		return out, nil
	}
	for _, dir := range adminDirs {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			continue
		}
		if out.dir == "" {
			out.dir = dir
		}
		for _, name := range commands {
			g, err := readGroup(filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			if g != nil {
				out.all = append(out.all, g)
			}
		}
	}
	return out, nil
}

// of gives the group of a command; follows: it goes with the group of another one.
func (gs *groups) of(name string) (g *group, follows bool) {
	for _, g := range gs.all {
		if g.name == name {
			return g, false
		}
		if slices.ContainsFunc(g.slaves, func(s slave) bool { return s.name == name }) {
			return nil, true
		}
	}
	return nil, false
}

// readGroup reads the file of a group; nil if there is none.
func readGroup(path string) (*group, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	next := func() string {
		if !s.Scan() {
			return ""
		}
		return s.Text()
	}
	g := &group{name: filepath.Base(path)}
	g.manual = next() == "manual"
	g.link = next()
	for name := next(); name != ""; name = next() {
		g.slaves = append(g.slaves, slave{name, next()})
	}
	for at := next(); at != ""; at = next() {
		c := choice{path: at}
		next() // its priority
		for range g.slaves {
			c.slaves = append(c.slaves, next())
		}
		g.choices = append(g.choices, c)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if g.link == "" {
		return nil, fmt.Errorf("%s: it does not begin as a group of update-alternatives does; write it anew, or remove it if 'update-alternatives --display %s' cannot read it either", path, g.name)
	}
	return g, nil
}

// value is what the group stands for now.
func (g *group) value() string {
	to, err := os.Readlink(filepath.Join(linkDir, g.name))
	if err != nil {
		return ""
	}
	return to
}

func (g *group) was(b *before) error {
	if now := g.value(); now != "" && !ours(now) {
		b.Value, b.Manual = now, g.manual
	}
	return nil
}

// ours says whether a path is our program or a link to it, also where that was removed since.
func ours(path string) bool {
	to, _ := os.Readlink(path)
	return filepath.Base(path) == multi || filepath.Base(to) == multi || tool.Ours(path)
}

// multi is the name of our program.
const multi = "xtables-bpf-multi"

// install adds our program to the choices, and chooses it. What follows the group and is no
// program of ours stays what it is.
func (g *group) install(h *Host, b *before) error {
	args := []string{"--install", g.link, g.name, h.Program, priority}
	old := g.choice(b.Value)
	var slaves []string
	for i, s := range g.slaves {
		to := h.Program
		if _, ok := face.Of(s.name); !ok {
			if to = ""; old != nil {
				to = old.slaves[i]
			}
		}
		slaves = append(slaves, to)
		if to != "" {
			args = append(args, "--slave", s.link, s.name, to)
		}
	}
	if mine := g.choice(h.Program); mine == nil || !slices.Equal(mine.slaves, slaves) {
		if err := h.alternatives(args...); err != nil {
			return err
		}
	}
	if err := g.removeOurs(h, h.Program); err != nil {
		return err
	}
	// In a dry run nothing was chosen by the priority yet.
	if now := g.value(); now != h.Program && (g.manual || !h.DryRun) {
		return h.alternatives("--set", g.name, h.Program)
	}
	return nil
}

func (g *group) choice(path string) *choice {
	i := slices.IndexFunc(g.choices, func(c choice) bool { return c.path == path })
	if i < 0 {
		return nil
	}
	return &g.choices[i]
}

// remove takes our program out of the choices. What the administrator had chosen is chosen
// again before, so that no other choice comes in between.
func (g *group) remove(h *Host, b *before) error {
	if b.Manual && g.choice(b.Value) != nil && ours(g.value()) {
		if err := h.alternatives("--set", g.name, b.Value); err != nil {
			return err
		}
	}
	return g.removeOurs(h, "")
}

// removeOurs removes choices that are ours, but for one.
func (g *group) removeOurs(h *Host, but string) error {
	for _, c := range g.choices {
		if c.path == but || !ours(c.path) {
			continue
		}
		if err := h.alternatives("--remove", g.name, c.path); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) paths() (map[string]string, error) {
	out := map[string]string{}
	for _, s := range append([]slave{{g.name, g.link}}, g.slaves...) {
		if _, ok := face.Of(s.name); ok {
			out[s.link], _ = os.Readlink(filepath.Join(linkDir, s.name))
		}
	}
	return out, nil
}

// alternatives runs update-alternatives.
func (h *Host) alternatives(args ...string) error {
	return h.run("update-alternatives", args...)
}

// run runs a program of the distribution.
func (h *Host) run(name string, args ...string) error {
	return h.do(func() error {
		cmd, err := h.command(name, args...)
		if err != nil {
			return err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	}, "run %s %s", name, strings.Join(args, " "))
}
