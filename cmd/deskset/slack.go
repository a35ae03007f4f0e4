package main

import "C" // for slack.c

import "runtime/debug"

// heapGrowth is how much the heap may grow between two collections, in per cent
// of what lives. A seat makes little garbage: with Go's own 100 its heap wanders
// from 1 to 4 MB in half a minute, with 50 it stays below 2.
const heapGrowth = 50

// thrift is for the verb that runs for months.
func thrift() { debug.SetGCPercent(heapGrowth) }
