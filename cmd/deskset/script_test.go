package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"deskset": func() { os.Exit(run(context.Background(), stdio{os.Stdout, os.Stderr}, os.Args[1:])) },
	})
}

// TestScripts are the program's promises to who types it: words and exit codes.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}
