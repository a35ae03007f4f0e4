package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what the kernel has counted for a process so far.
type usage struct {
	at       time.Time
	switches float64 // context switches of all threads
	forced   float64 // those of them that the scheduler made
	cpu      float64 // seconds
	written  float64 // bytes that were made to go to a disk
	threads  int
	rss, top float64 // MB now and at most
}

// clockTick is the kernel's USER_HZ, the same on all its architectures that
// deskset runs on.
const clockTick = 100

func measure(pid int) (usage, error) {
	u := usage{at: time.Now()}
	dir := fmt.Sprintf("/proc/%d", pid)
	tasks, err := filepath.Glob(dir + "/task/*/status")
	if err != nil {
		return u, err
	}
	for _, t := range tasks {
		f, err := fields(t)
		if err != nil {
			continue // a thread that ended
		}
		v, forced := number(f["voluntary_ctxt_switches"]), number(f["nonvoluntary_ctxt_switches"])
		u.switches += v + forced
		u.forced += forced
		u.threads++
	}
	f, err := fields(dir + "/status")
	if err != nil {
		return u, fmt.Errorf("measure process %d: %w", pid, err)
	}
	u.rss, u.top = number(f["VmRSS"])/1024, number(f["VmHWM"])/1024
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, err
	}
	// The name in brackets may hold anything; after it, utime and stime are the
	// 12th and 13th field.
	rest := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(rest) > 12 {
		u.cpu = (number(rest[11]) + number(rest[12])) / clockTick
	}
	if f, err = fields(dir + "/io"); err == nil {
		u.written = number(f["write_bytes"]) - number(f["cancelled_write_bytes"])
	}
	return u, nil
}

// fields reads lines of "name: value".
func fields(name string) (map[string]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(line, ":")
		m[k] = strings.TrimSpace(v)
	}
	return m, nil
}

// number is the leading number of a field, 0 without one.
func number(s string) float64 {
	s, _, _ = strings.Cut(s, " ")
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f
}
