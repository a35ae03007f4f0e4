package vault

import (
	"errors"
	"fmt"
	"syscall"
)

// DefaultReserve holds one call of 4 hours, in bytes: 8 KiB a second.
const DefaultReserve = 4 * 3600 * 8192

// Levels of a filling disk, as parts of it that are free.
const (
	AlarmBelow    = 0.40 // show it, delete after the short grace
	OutboundBelow = 0.15 // refuse new outbound calls
)

// Space of the disk.
type Space struct {
	Free, Total int64 // bytes
	Reserve     int64 // below it no recorded call may begin
}

// Fraction that is free, 0 to 1; 1 when it is not known.
func (s Space) Fraction() float64 {
	if s.Total <= 0 {
		return 1
	}
	return float64(s.Free) / float64(s.Total)
}

// Alarm says that the disk fills up.
func (s Space) Alarm() bool { return s.Fraction() < AlarmBelow }

// RefuseOutbound says that only inbound calls may still be recorded.
func (s Space) RefuseOutbound() bool { return s.Fraction() < OutboundBelow || s.Full() }

// Full says that no recorded call may begin.
func (s Space) Full() bool { return s.Total > 0 && s.Free < s.Reserve }

// Space of the disk now.
func (v *Vault) Space() (Space, error) {
	free, total, err := v.fs.Space()
	if err != nil {
		return Space{}, fmt.Errorf("free space: %w", err)
	}
	return Space{Free: free, Total: total, Reserve: v.cfg.Reserve}, nil
}

func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
