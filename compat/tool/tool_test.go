package tool

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netns"

	"github.com/bpftables/bpftables/ruleset/packet"
)

func TestHostVariant(t *testing.T) {
	for want, make := range map[string]func(path string) error{
		"nft":    linkTo("xtables-nft-multi"),
		"legacy": linkTo("xtables-legacy-multi"),
		"":       script("echo iptables v1.4.7"),
	} {
		dir := t.TempDir()
		if err := make(filepath.Join(dir, "iptables")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":/bin:/usr/bin")
		if got := HostVariant(packet.IPv4, os.Environ()); got != want {
			t.Errorf("variant %q, want %q", got, want)
		}
	}
	dir := t.TempDir()
	if err := script("echo 'iptables v1.8.9 (nf_tables)'")(filepath.Join(dir, "iptables")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	if got := HostVariant(packet.IPv4, os.Environ()); got != "nft" {
		t.Errorf("a script of the nft variant is %q", got)
	}
}

// linkTo makes a link to a program, by way of another link, as distributions do.
func linkTo(program string) func(path string) error {
	return func(path string) error {
		target := filepath.Join(filepath.Dir(path), program)
		if err := script("exit 1")(target); err != nil {
			return err
		}
		if err := os.Symlink(target, path+"-alternative"); err != nil {
			return err
		}
		return os.Symlink(path+"-alternative", path)
	}
}

func script(line string) func(path string) error {
	return func(path string) error {
		return os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o755)
	}
}

// TestSaveAsksOnlyForTables starts no program for a table that the kernel does not have.
func TestSaveAsksOnlyForTables(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ns, err := netns.New()
	if err != nil {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	defer ns.Close()
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		nft := &Tool{family: family, save: "/nowhere"}
		legacy := &Tool{family: family, legacy: true, save: "/nowhere"}
		for _, one := range []*Tool{nft, legacy} {
			if text, err := one.Save("filter"); text != "" || err != nil {
				t.Errorf("%s: empty namespace: %q, %v", family, text, err)
			}
		}
		addTable(t, family, "filter")
		if _, err := nft.Save("filter"); err == nil {
			t.Errorf("%s: a table of nf_tables is not asked for", family)
		}
		if _, err := nft.Save("raw"); err != nil {
			t.Errorf("%s: another table: %v", family, err)
		}
	}
}

func addTable(t *testing.T, family packet.Family, name string) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	of := nftables.TableFamilyIPv4
	if family == packet.IPv6 {
		of = nftables.TableFamilyIPv6
	}
	c.AddTable(&nftables.Table{Name: name, Family: of})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}
