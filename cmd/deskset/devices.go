package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"deskset/audio/soundcard"

	"go.bug.st/serial/enumerator"
	"golang.org/x/sys/unix"
)

// found is one device, with the id that the file wants.
type found struct {
	Kind string `json:"kind"` // "capture", "playback", "serial", "gpio", "headset"
	ID   string `json:"id"`
	Name string `json:"name"`
	Use  string `json:"use,omitempty"` // key of the file that takes the id
}

func devicesVerb(_ context.Context, std stdio, args []string) error {
	fs := flags(std, "devices")
	asJSON := fs.Bool("json", false, "print JSON")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	all, faults := allDevices()
	if *asJSON {
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"devices": all, "faults": faults})
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tID\tNAME\tGOES INTO")
	for _, d := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Kind, d.ID, d.Name, d.Use)
	}
	for _, f := range faults {
		fmt.Fprintln(std.err, "not looked at:", f)
	}
	return w.Flush()
}

func allDevices() (all []found, faults []string) {
	for _, backend := range []string{soundcard.ALSA, soundcard.Pulse} {
		cards, err := soundcard.List(backend)
		if err != nil {
			faults = append(faults, backend+": "+err.Error())
			continue
		}
		for _, c := range cards {
			if c.Monitor {
				continue // a loudspeaker's echo is never a microphone
			}
			for _, way := range []struct {
				kind string
				has  bool
			}{{"capture", c.Capture}, {"playback", c.Playback}} {
				if way.has {
					all = append(all, found{way.kind, c.ID, c.Name, fmt.Sprintf("headset.%s (backend = %q)", way.kind, backend)})
				}
			}
		}
	}
	ports, err := enumerator.GetDetailedPortsList()
	if err != nil {
		faults = append(faults, "serial: "+err.Error())
	}
	for _, p := range ports {
		name := p.Product
		if p.IsUSB {
			name = strings.TrimSpace(fmt.Sprintf("%s %s:%s %s", p.Product, p.VID, p.PID, p.SerialNumber))
		}
		all = append(all, found{Kind: "serial", ID: p.Name, Name: name})
	}
	chips, _ := filepath.Glob("/dev/gpiochip*")
	for _, c := range chips {
		label := ""
		if b, err := os.ReadFile(filepath.Join("/sys/bus/gpio/devices", filepath.Base(c), "of_node/name")); err == nil {
			label = strings.TrimRight(string(b), "\x00\n")
		}
		all = append(all, found{Kind: "gpio", ID: c, Name: label})
	}
	hids, _ := filepath.Glob("/sys/class/hidraw/hidraw*/device/uevent")
	for _, h := range hids {
		b, err := os.ReadFile(h)
		if err != nil {
			continue
		}
		dev := "/dev/" + strings.Split(h, "/")[4]
		d := found{Kind: "headset", ID: dev}
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "HID_NAME="); ok {
				d.Name = name
			}
		}
		if unix.Access(dev, unix.R_OK) != nil {
			d.Name += " (no permission)"
		}
		all = append(all, d)
	}
	return all, faults
}
