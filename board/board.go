// Package board holds the boards as data: which GPIO line each key and lamp of
// the panel is wired to. It knows no driver and no seat.
package board

import (
	"fmt"
	"slices"
	"strings"
)

// Pull is the bias of an input line.
type Pull string

const (
	Up   Pull = "up"
	Down Pull = "down"
	None Pull = "none"
)

// Key is one key or switch.
type Key struct {
	Name      string // as the panel names it
	Chip      string // label of the GPIO chip
	Line      int    // offset on it
	ActiveLow bool
	Pull      Pull
}

// Lamp is one lamp, or one colour of a lamp with three.
type Lamp struct {
	Name      string // as the panel names it
	Part      string // "red", "green", "blue", or empty
	Chip      string
	Line      int
	ActiveLow bool
}

// Board is one model.
type Board struct {
	Model string
	Keys  []Key
	Lamps []Lamp
}

// Models are the boards that this firmware knows.
var Models = []Board{cm4}

// Find a board by its model.
func Find(model string) (Board, error) {
	var names []string
	for _, b := range Models {
		if b.Model == model {
			return b, nil
		}
		names = append(names, b.Model)
	}
	slices.Sort(names)
	return Board{}, fmt.Errorf("board %q is not known; this firmware knows: %s, virtual", model, strings.Join(names, ", "))
}
