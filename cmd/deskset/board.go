package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"deskset/board"
	"deskset/board/virtual"
	"deskset/drivers/button"
	"deskset/drivers/lamp"
	"deskset/firmware/config"
	"deskset/firmware/panel"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3"
)

// panelBoard is a board's keys and lamps.
type panelBoard interface {
	Run(ctx context.Context, edge func(k panel.Key, down bool)) error
	Set(l panel.Lamp, c panel.Colour) error
}

// boardSocket is the virtual board's socket within the run directory.
const boardSocket = "board.sock"

// openBoard finds the board that the file names.
func openBoard(f config.File, log *slog.Logger) (panelBoard, error) {
	if f.Board == "virtual" {
		return virtualBoard{virtual.New(filepath.Join(f.RunDir, boardSocket), log)}, nil
	}
	b, err := board.Find(f.Board)
	if err != nil {
		return nil, err
	}
	if _, err := host.Init(); err != nil {
		return nil, fmt.Errorf("board %s: %w", b.Model, err)
	}
	return openGPIO(b)
}

// gpioBoard is the panel on GPIO lines, in the seat's names.
type gpioBoard struct {
	keys  []button.Key
	lamps *lamp.Panel
}

func openGPIO(b board.Board) (gpioBoard, error) {
	var g gpioBoard
	var keys []button.Line
	for _, k := range b.Keys {
		pull := map[board.Pull]gpio.Pull{board.Up: gpio.PullUp, board.Down: gpio.PullDown, board.None: gpio.Float}[k.Pull]
		keys = append(keys, button.Line{Name: k.Name, Chip: k.Chip, Offset: k.Line, ActiveLow: k.ActiveLow, Pull: pull})
	}
	var lamps []lamp.Line
	for _, l := range b.Lamps {
		lamps = append(lamps, lamp.Line{Lamp: l.Name, Part: l.Part, Chip: l.Chip, Offset: l.Line, ActiveLow: l.ActiveLow})
	}
	var err error
	if g.keys, err = button.Open(keys); err != nil {
		return g, fmt.Errorf("board %s does not match this hardware: %w", b.Model, err)
	}
	if g.lamps, err = lamp.Open(lamps); err != nil {
		return g, fmt.Errorf("board %s does not match this hardware: %w", b.Model, err)
	}
	return g, nil
}

func (g gpioBoard) Run(ctx context.Context, edge func(panel.Key, bool)) error {
	return button.Run(ctx, g.keys, func(name string, down bool) { edge(panel.Key(name), down) })
}

func (g gpioBoard) Set(l panel.Lamp, c panel.Colour) error { return g.lamps.Set(string(l), string(c)) }

// virtualBoard is the panel over a socket, in the seat's names.
type virtualBoard struct{ b *virtual.Board }

func (v virtualBoard) Run(ctx context.Context, edge func(panel.Key, bool)) error {
	return v.b.Run(ctx, func(line string, down bool) { edge(panel.Key(line), down) })
}

func (v virtualBoard) Set(l panel.Lamp, c panel.Colour) error { return v.b.Set(string(l), string(c)) }
