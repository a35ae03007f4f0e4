package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// The page holds nothing of a seat: it may be fetched by anyone who may
// connect, and everything else comes through the API.
//
//go:embed page
var pageFiles embed.FS

var contentTypes = map[string]string{
	".html":        "text/html; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json; charset=utf-8",
	".svg":         "image/svg+xml",
	".webmanifest": "application/manifest+json",
}

// pages serves the embedded files, and only those.
func pages() http.Handler {
	mux := http.NewServeMux()
	fs.WalkDir(pageFiles, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := pageFiles.ReadFile(name)
		if err != nil {
			return err
		}
		at := name[len("page"):]
		if at == "/index.html" {
			at = "/{$}"
		}
		sum := sha256.Sum256(b)
		tag := `"` + hex.EncodeToString(sum[:8]) + `"`
		mux.HandleFunc("GET "+at, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", contentTypes[path.Ext(name)])
			h.Set("Cache-Control", "no-cache") // ask each time: an update must not meet an old page
			h.Set("ETag", tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		})
		return nil
	})
	return mux
}
