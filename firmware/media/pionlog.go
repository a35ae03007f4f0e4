package media

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// pionLogs sends what pion's modules say to the leg's logger, at debug level:
// what matters of it comes back as an error or an event.
type pionLogs struct{ log *slog.Logger }

func (p pionLogs) NewLogger(scope string) logging.LeveledLogger {
	return pionLog{p.log.With("scope", scope)}
}

type pionLog struct{ log *slog.Logger }

func (p pionLog) Trace(string)          {}
func (p pionLog) Tracef(string, ...any) {}
func (p pionLog) Debug(string)          {}
func (p pionLog) Debugf(string, ...any) {}
func (p pionLog) Info(string)           {}
func (p pionLog) Infof(string, ...any)  {}

func (p pionLog) Warn(msg string)             { p.log.Debug("pion", "says", msg) }
func (p pionLog) Warnf(msg string, a ...any)  { p.Warn(fmt.Sprintf(msg, a...)) }
func (p pionLog) Error(msg string)            { p.log.Debug("pion", "says", msg) }
func (p pionLog) Errorf(msg string, a ...any) { p.Error(fmt.Sprintf(msg, a...)) }
