package conformance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packages builds the packages of a version, in a copy of the directory that they are built in. With a layout,
// they are of a version that cannot read the state of others.
func packages(t *testing.T, version, layout string) string {
	t.Helper()
	dir := t.TempDir()
	env := append(os.Environ(), "VERSION="+version, "DIST="+dir)
	if layout != "" {
		env = append(env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+withLayout(t, layout)))
	}
	build := exec.Command("../packaging/build")
	build.Env = env
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestPackages installs, upgrades and removes the packages on a host with rules: at every moment they are
// enforced, and in the end they are where they were.
func TestPackages(t *testing.T) {
	needRoot(t)
	if out, err := exec.Command("go", "-C", "../packaging", "tool", "-n", "nfpm").CombinedOutput(); err != nil {
		cannot(t, fmt.Sprintf("nfpm cannot be built here: %v\n%s", err, out))
	}
	first, second := packages(t, "0.1.1", ""), packages(t, "0.1.2", "99")
	t.Run("deb", func(t *testing.T) {
		testPackage(t, first, second, map[string]string{
			"install": "dpkg -i %s/*.deb", "upgrade": "dpkg -i %s/*.deb", "remove": "dpkg -r bpftables",
			"there": "dpkg-query -W -f '${Status}' bpftables | grep -q 'ok installed'", "purge": "dpkg -P bpftables",
		})
	})
	t.Run("rpm", func(t *testing.T) {
		if _, err := exec.LookPath("rpm"); err != nil {
			cannot(t, err)
		}
		testPackage(t, first, second, map[string]string{
			"install": "rpm -i --nodeps %s/*.rpm", "upgrade": "rpm -U --nodeps %s/*.rpm", "remove": "rpm -e bpftables",
			"there": "rpm -q bpftables >/dev/null", "purge": ":",
		})
	})
}

func testPackage(t *testing.T, first, second string, with map[string]string) {
	if _, err := os.Stat("/usr/sbin/bpftables"); err == nil {
		cannot(t, "bpftables is installed here")
	}
	script := heldBefore + `
texts() { for v in nft legacy; do iptables-$v-save; ip6tables-$v-save; done 2>/dev/null | grep -v '^#' | sed 's/\[.*\]//' | grep -v '^:.* ACCEPT\|^[*]\|COMMIT'; readlink /etc/alternatives/ip*tables*; ls -d /var/lib/bpftables /etc/bpftables 2>/dev/null; }
texts > /run/before
# What is enforced is asked for all the time.
(while [ ! -e /run/stop ]; do closed "$(cat /run/now)"; done) & probe=$!
now() { echo "$1" > /run/now; }
now install; INSTALL || echo FAILED install
bpftables version
now install-compat; bpftables install-compat >/dev/null || echo FAILED install-compat
iptables -A INPUT -s 192.0.2.8 -j DROP
now upgrade; UPGRADE || echo FAILED upgrade
bpftables version
iptables-save | grep -- -A
[ "$(readlink -f /usr/sbin/iptables)" = /usr/sbin/xtables-bpf-multi ] || echo FAILED names
ls /var/lib/bpftables
iptables -D INPUT -s 192.0.2.8 -j DROP || echo FAILED delete
now refused
iptables-legacy -A INPUT -s 192.0.2.9 -j DROP
REMOVE >/dev/null 2>&1 && echo FAILED to refuse
THERE || echo FAILED to stay
iptables -S INPUT | grep -q icmp || echo FAILED to go on
iptables-legacy -D INPUT -s 192.0.2.9 -j DROP
now remove; REMOVE || echo FAILED remove
THERE && echo FAILED to go
PURGE
touch /run/stop; wait $probe
texts | diff /run/before - && echo SAME
ls -d /usr/sbin/bpftables /run/bpftables 2>/dev/null || :
`
	for name, command := range with {
		dir := first
		if name == "upgrade" {
			dir = second
		}
		if strings.Contains(command, "%s") {
			command = fmt.Sprintf(command, dir)
		}
		script = strings.ReplaceAll(script, strings.ToUpper(name), command)
	}
	out := inBox(t, script, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive")
	for _, want := range []string{"bpftables v0.1.1\n", "bpftables v0.1.2\n", "made anew", "-A INPUT -p icmp -j DROP\n-A INPUT -s 192.0.2.8/32 -j DROP\n", "compat.json\nreal\n", "SAME\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	for _, bad := range []string{"OPEN", "FAILED", "\n/usr/sbin/bpftables", "\n/run/bpftables", "\nprevious\n"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q:\n%s", bad, out)
		}
	}
}

// withLayout gives an overlay for the go command in which the state has another layout.
func withLayout(t *testing.T, version string) string {
	t.Helper()
	source, err := filepath.Abs("../engine/state/layout.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	other := layoutLine.ReplaceAllString(string(text), "const layoutVersion = "+version)
	if other == string(text) {
		t.Fatal("the layout has no version")
	}
	overlay := filepath.Join(dir, "overlay.json")
	for name, text := range map[string]string{
		filepath.Join(dir, "layout.go"): other,
		overlay:                         fmt.Sprintf(`{"Replace": {%q: %q}}`, source, filepath.Join(dir, "layout.go")),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}
