package probe

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestHZ compares with the kernel's configuration, where it can be read.
func TestHZ(t *testing.T) {
	got, err := HZ()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/config.gz")
	if err != nil {
		if got < 24 || got > 10000 {
			t.Fatalf("HZ %d", got)
		}
		t.Skip("the kernel does not show its configuration")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(z); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "CONFIG_HZ="); ok {
			if want := fmt.Sprint(got); text != want {
				t.Errorf("HZ %s, the kernel says %s", want, text)
			}
			return
		}
	}
	t.Error("no CONFIG_HZ")
}

func TestFeatures(t *testing.T) {
	for _, f := range Features() {
		if !f.Have {
			t.Logf("%s: %s", f.Name, f.Answer())
		}
		if f.Name == "" || f.Since == "" || !f.Have && f.Why == "" {
			t.Errorf("incomplete: %+v", f)
		}
	}
	if os.Getenv("REQUIRE_KERNEL") != "" {
		if err := Missing(); err != nil {
			t.Error(err)
		}
	}
}

// What a kernel lacks is told as a sentence.
func TestNeeds(t *testing.T) {
	for name, want := range map[string]string{
		netfilterPrograms: "netfilter programs need", "BTF": "BTF needs", "cast to kernel types": "cast to kernel types needs",
	} {
		if got := (Feature{Name: name}).need(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
