package netfilter

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/engine/datapath"
)

// soundFile says when everything that a generation gave to nf_tables was seen there: at which transaction. With thousands of
// targets a look takes longer than most changes, and nothing there changes but by a transaction.
const soundFile = "sound"

// soundNow is what the file says if everything is there now; "": nobody can tell, or the caller changes nothing and
// wants to know.
func (d *Datapath) soundNow(live *datapath.Live) string {
	if !d.space.Claimed() {
		return ""
	}
	transaction, err := steady.Generation()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d\n", live.Number(), transaction)
}

// wasSound says whether everything was there, and nothing has changed.
func (d *Datapath) wasSound(now string) bool {
	if now == "" {
		return false
	}
	data, err := plainfile.Read(filepath.Join(d.space.Dir(), soundFile))
	return err == nil && string(data) == now
}

// noteSound writes it down for the next command, which looks itself where that fails.
func (d *Datapath) noteSound(now string) {
	if now != "" {
		_ = os.WriteFile(filepath.Join(d.space.Dir(), soundFile), []byte(now), 0o600)
	}
}
