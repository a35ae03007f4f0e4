package rig

import "runtime"

// runStarter owns one thread for as long as we live.
func runStarter(c chan func()) {
	runtime.LockOSThread()
	for f := range c {
		f()
	}
}
