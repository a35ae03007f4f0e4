package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"deskset/board/virtual"
	"deskset/firmware/config"
	"deskset/firmware/panel"
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
	return nil, &config.Error{File: "board", Msg: fmt.Sprintf("model %q is not known; this firmware knows: virtual", f.Board)}
}

// virtualBoard is the panel over a socket, in the seat's names.
type virtualBoard struct{ b *virtual.Board }

func (v virtualBoard) Run(ctx context.Context, edge func(panel.Key, bool)) error {
	return v.b.Run(ctx, func(line string, down bool) { edge(panel.Key(line), down) })
}

func (v virtualBoard) Set(l panel.Lamp, c panel.Colour) error { return v.b.Set(string(l), string(c)) }
