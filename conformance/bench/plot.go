package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgsvg" // plot.Plot.Save writes .svg by it
)

// lineOf is one line of a plot: the cells of one firewall in rows of one kind.
type lineOf struct{ what, firewall, label string }

// plotted is one plot, over N.
type plotted struct {
	file, title, y string
	value          func(c cell) float64
	lines          []lineOf
}

func cellTime(c cell) float64   { return float64(c.Time.Nanoseconds()) }
func cellMillis(c cell) float64 { return float64(c.Time.Microseconds()) / 1000 }
func cellMB(c cell) float64     { return float64(c.KiB) / 1024 }

// draw writes the plots of all parts that were measured.
func (all results) draw(dir string) error {
	dir = filepath.Join(dir, "plots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, part := range parts {
		r := all[part.name]
		for _, p := range part.plots {
			if r == nil {
				continue
			}
			if err := p.draw(r, filepath.Join(dir, p.file)); err != nil {
				return fmt.Errorf("%s: %w", p.file, err)
			}
		}
	}
	return nil
}

// shades are for the lines, in their order; readers may be colour-blind, so that
// each has its own marker, too (colours of M. Okabe and K. Ito).
var shades = map[string]color.Color{
	legacy: color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	nft:    color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	nftSet: color.RGBA{0x00, 0x9e, 0x73, 0xff},
	ours:   color.RGBA{0x00, 0x72, 0xb2, 0xff},
}

var markers = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}}

func (p plotted) draw(r *result, file string) error {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	pl := plot.New()
	pl.Title.Text, pl.X.Label.Text, pl.Y.Label.Text = p.title, "rules", p.y
	pl.X.Scale, pl.Y.Scale = plot.LogScale{}, plot.LogScale{}
	pl.X.Tick.Marker, pl.Y.Tick.Marker = powers{}, powers{}
	pl.BackgroundColor = color.White
	pl.Legend.Top, pl.Legend.Left = true, true
	pl.Legend.Padding, pl.Legend.XOffs = vg.Points(2), vg.Points(6)
	pl.Legend.TextStyle.Font.Size = vg.Points(9)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	pl.Add(grid)
	drawn := 0
	for i, line := range p.lines {
		points := p.points(r, line)
		if len(points) == 0 {
			continue
		}
		drawn++
		l, s, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		l.Color, s.Color = shades[line.firewall], shades[line.firewall]
		l.Width = vg.Points(1.5)
		s.Shape, s.Radius = markers[i%len(markers)], vg.Points(2.5)
		pl.Add(l, s)
		pl.Legend.Add(line.label, l, s)
	}
	if drawn == 0 {
		return nil
	}
	room(pl)
	return pl.Save(14*vg.Centimeter, 9.5*vg.Centimeter, file)
}

// room takes the Y axis to whole powers of ten, and leaves some for the last label.
func room(pl *plot.Plot) {
	pl.X.Max *= 2
	pl.Y.Min = math.Pow(10, math.Floor(math.Log10(pl.Y.Min)))
	pl.Y.Max = math.Pow(10, math.Ceil(math.Log10(pl.Y.Max)))
}

func (p plotted) points(r *result, line lineOf) (points plotter.XYs) {
	for _, row := range r.Rows {
		c := row.Cells[line.firewall]
		if v := p.value(c); row.What == line.what && c.Note == "" && v > 0 {
			points = append(points, plotter.XY{X: float64(row.N), Y: v})
		}
	}
	return points
}

// powers are ticks at the powers of ten.
type powers struct{}

// Ticks gives the ticks; those between two powers have no label.
func (powers) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		ticks = append(ticks, plot.Tick{Value: v, Label: power(v)})
		for i := 2.0; i < 10; i++ {
			ticks = append(ticks, plot.Tick{Value: v * i})
		}
	}
	return ticks
}

func power(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%g", v)
}
