// Package abi is the compiled datapath and its layouts as Go types.
//
// In: the C files of bpf/, at development time (make generate). Out: objects that are
// embedded in the program, and every struct and number that C and Go share, never
// repeated by hand. The netfilter_* and other files with a bpfel suffix are generated.
package abi

//go:generate sh -c "go run ./numbers > ../facts/numbers.h"
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang -type facts -type counter -type verdict -type answer -type set_op -type class_header -type class_seat -type class_seat_flag -type class_chain -type class_state -type class_kind -type class_tuple -type class_bucket -type class_entry -type class_tree -type class_node -type class_row -type class_action -type class_flag -type class_note -type class_set -type class_how -type class_op -type class_guard -type class_number Netfilter ../netfilter.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang Shim ../shim.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang Probe ../probe.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -Wno-unused-function -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang -type early_packet -type early_verdict -type early_state -type early_config -type early_addr -type early_view EarlyXdp ../early_xdp.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang EarlyTcx ../early_tcx.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang Links ../links.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -go-package abi -target bpfel -cc clang Recent ../recent.bpf.c -- -iquote .. -O2 -g -mcpu=v3 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go run ./pack netfilter_bpfel.o shim_bpfel.o
