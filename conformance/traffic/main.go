// Command traffic sends and answers packets for the demo.
//
// In: what to send, or where to listen. Out: one line that says what became of it,
// in terms of a firewall's user: "answered", "refused by RST", "no answer".
//
//	traffic listen tcp:198.18.2.2:80 udp:198.18.2.2:53   prints "ready", answers until killed
//	traffic try ping 198.18.2.2
//	traffic try tcp 198.18.2.2:80
//	traffic try udp 198.18.2.2:53
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "listen":
		return listen(args[1:])
	case len(args) == 3 && args[0] == "try":
		outcome, err := try(args[1], args[2])
		if err == nil {
			fmt.Println(outcome)
		}
		return err
	}
	return fmt.Errorf("usage: traffic listen PROTOCOL:ADDRESS:PORT... | traffic try ping|tcp|udp ADDRESS[:PORT]")
}
