package pred_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// samples has one value of every predicate.
var samples = map[string]pred.Pred{
	"Const":        pred.Const(pred.Yes),
	"Not":          pred.Not{P: pred.Const(pred.Yes)},
	"And":          pred.And{},
	"Or":           pred.Or{},
	"HotdropIf":    pred.HotdropIf{P: pred.Const(pred.No)},
	"Cmp":          pred.Eq(pred.FieldLen, 1),
	"Header":       pred.Header{Len: 20, HotFragment: true},
	"Transport":    pred.Transport{},
	"Have":         pred.Have{Base: pred.BaseL4, Len: 4},
	"FindExt":      pred.FindExt{Header: 44},
	"Addr":         pred.Addr{},
	"AddrRange":    pred.AddrRange{},
	"Name":         pred.Name{},
	"TCPOption":    pred.TCPOption{Kind: 2},
	"TCPMSS":       pred.TCPMSS{},
	"DCCPOption":   pred.DCCPOption{Kind: 1},
	"SCTPChunks":   pred.SCTPChunks{},
	"U32":          pred.U32{Tests: []pred.U32Test{{}}},
	"Meter":        pred.Meter{Table: "t", Metering: pred.Metering{Parts: pred.MeterSrc | pred.MeterDstPort, Avg: 1, Burst: 5, Collect: 1000, Expire: 1000}},
	"Quota":        pred.Quota{Bytes: 9, Key: "q"},
	"ReversePath":  pred.ReversePath{},
	"Groups":       pred.Groups{Hi: 9},
	"ConnCount":    pred.ConnCount{To: 9},
	"ConnLabel":    pred.ConnLabel{Bit: 9},
	"ControlGroup": pred.ControlGroup{Path: "a"},
	"Policy":       pred.Policy{Elems: []pred.PolicyElem{{}}},
	"Headers6":     pred.Headers6{Mask: 1},
	"EUI64":        pred.EUI64{},
	"Options6":     pred.Options6{Opts: []pred.Option6{{}}},
	"Hops6":        pred.Hops6{},
	"Time":         pred.Time{Weekdays: 0xfe},
	"Search":       pred.Search{Text: "a", To: 40},
	"AddrType":     pred.AddrType{},
	"Limit":        pred.Limit{Cost: 1, Cap: 1, Key: "k"},
	"Nth":          pred.Nth{Every: 1, Key: "k"},
	"Random":       pred.Random{},
	"Recent":       pred.Recent{List: "l"},
	"InSet":        pred.InSet{Set: "s", Key: pred.KeyOf(pred.AddrSrc, pred.Load{Base: pred.BaseL4, Width: 2})},
	"SetUpdate":    pred.SetUpdate{Set: "s", Key: pred.KeyOf(pred.NameIn, pred.FieldMark)},
	"Unsupported":  pred.Unsupported{Reason: "r"},
}

func facts(t *testing.T, family packet.Family, text string) *packet.Facts {
	t.Helper()
	f, err := packet.Parse(family, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestEveryPredicate: every type with the method isPred has a sample, and Eval and
// String have an arm for it.
func TestEveryPredicate(t *testing.T) {
	names := predicates(t)
	if len(names) != len(samples) {
		t.Errorf("%d predicates, %d samples", len(names), len(samples))
	}
	for _, name := range names {
		p := samples[name]
		if p == nil {
			t.Errorf("%s has no sample", name)
			continue
		}
		for family, text := range map[packet.Family]string{packet.IPv4: "tcp", packet.IPv6: "tcp ext frag:1+"} {
			pred.Eval(p, facts(t, family, text))
		}
		if p.String() == "" {
			t.Errorf("%s has no text", name)
		}
	}
}

// predicates lists the types of the package that have the method isPred.
func predicates(t *testing.T) (names []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "isPred" {
				names = append(names, fn.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	return names
}

// TestEveryField: every field has a name and a value, with and without a
// connection, a socket and an Ethernet header.
func TestEveryField(t *testing.T) {
	bare := facts(t, packet.IPv4, "tcp ct invalid")
	full := facts(t, packet.IPv4, "tcp in eth0 out eth1 ct established,reply ctmark 7 uid 5 mac 00:11:22:33:44:55 physin p0")
	for f := pred.Field(0); f < pred.NumFields; f++ {
		if f.String() == "" {
			t.Errorf("field %d has no name", f)
		}
		pred.Eval(pred.Eq(f, 0), bare)
		pred.Eval(pred.Eq(f, 0), full)
	}
	for f, want := range map[pred.Field]uint32{
		pred.FieldCtMark: 7, pred.FieldHasConn: 1, pred.FieldCtDir: 1, pred.FieldUID: 5, pred.FieldSocket: 2,
		pred.FieldEther: 1, pred.FieldMACHi: 0x00112233, pred.FieldMACLo: 0x4455, pred.FieldBridged: 3, pred.FieldL4Avail: 20,
	} {
		if pred.Eval(pred.Eq(f, want), full) != pred.Yes {
			t.Errorf("%s is not %#x", f, want)
		}
		if f != pred.FieldL4Avail && pred.Eval(pred.Eq(f, 0), bare) != pred.Yes {
			t.Errorf("%s is not 0 where there is none", f)
		}
	}
}

func TestThreeAnswers(t *testing.T) {
	yes, no, hot := pred.Const(pred.Yes), pred.Const(pred.No), pred.Const(pred.Hotdrop)
	f := facts(t, packet.IPv4, "tcp")
	for _, c := range []struct {
		p    pred.Pred
		want pred.Answer
	}{
		{pred.And{}, pred.Yes}, {pred.Or{}, pred.No},
		{pred.And{yes, no, hot}, pred.No}, {pred.And{yes, hot, no}, pred.Hotdrop},
		{pred.Or{no, yes, hot}, pred.Yes}, {pred.Or{no, hot, yes}, pred.Hotdrop},
		{pred.Not{P: yes}, pred.No}, {pred.Not{P: no}, pred.Yes}, {pred.Not{P: hot}, pred.Hotdrop},
		{pred.HotdropIf{P: yes}, pred.Hotdrop}, {pred.HotdropIf{P: no}, pred.Yes}, {pred.HotdropIf{P: hot}, pred.Hotdrop},
	} {
		if got := pred.Eval(c.p, f); got != c.want {
			t.Errorf("%s: %v, want %v", c.p, got, c.want)
		}
	}
}

// TestLoads: bytes that are not there read as 0, one by one.
func TestLoads(t *testing.T) {
	f := facts(t, packet.IPv4, "udp payload ffee len 30 cut 29")
	for _, c := range []struct {
		off  uint16
		w    uint8
		want uint32
	}{{8, 1, 0xff}, {8, 2, 0xff00}, {8, 4, 0xff000000}, {9, 1, 0}, {19, 4, 0}} {
		l := pred.Load{Base: pred.BaseL4, Off: c.off, Width: c.w}
		if pred.Eval(pred.Eq(l, c.want), f) != pred.Yes {
			t.Errorf("%s is not %#x", l, c.want)
		}
	}
	for n, want := range map[uint16]pred.Answer{9: pred.Yes, 10: pred.No} {
		if got := pred.Eval(pred.Have{Base: pred.BaseL4, Len: n}, f); got != want {
			t.Errorf("have %d: %v, want %v", n, got, want)
		}
	}
}
