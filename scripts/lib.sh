# Common to all scripts: where things are, and how what is missing gets here.
# Source it; it changes to the project's root.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
CACHE=${DESKSET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/deskset}
DIST=$ROOT/dist
export DESKSET_ASTERISK=${DESKSET_ASTERISK:-$CACHE/asterisk}
mkdir -p "$CACHE" "$DIST"

GO_VERSION=1.26.8

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages NAME...: install the Debian packages that are missing.
need_packages() {
  local missing=() p
  for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || die "these packages are needed and this is no Debian: ${missing[*]}"
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_go: a Go of at least 1.26 first on PATH. Where the system's is older it
# comes from the module proxy's toolchain module, checked by its SHA-256.
need_go() {
  local have sum arch proxy zip dir
  have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
  if [ -n "$have" ] && printf '%s\n' "go1.26" "$have" | sort -V -C; then return; fi
  arch=$(dpkg --print-architecture)
  case $arch in
    amd64) sum=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7 ;;
    arm64) sum=02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99 ;;
    *) die "no Go toolchain is pinned for $arch; install Go $GO_VERSION by hand" ;;
  esac
  dir=$CACHE/go-$GO_VERSION
  if [ ! -x "$dir/bin/go" ]; then
    need_packages golang-go curl ca-certificates unzip
    zip=$CACHE/go-$GO_VERSION.zip
    say "fetching Go $GO_VERSION"
    for proxy in $(cd / && GOTOOLCHAIN=local go env GOPROXY | tr ',|' '  '); do
      curl -fsSL -o "$zip" "$proxy/golang.org/toolchain/@v/v0.0.1-go$GO_VERSION.linux-$arch.zip" && break
    done
    [ -s "$zip" ] || die "the Go toolchain could not be fetched; install Go $GO_VERSION by hand"
    echo "$sum  $zip" | sha256sum -c --quiet || die "the Go toolchain has a wrong SHA-256; it was removed: $(rm -f "$zip")"
    rm -rf "$dir.new" "$dir"
    mkdir -p "$dir.new"
    unzip -q "$zip" -d "$dir.new"
    mv "$dir.new/golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-$arch" "$dir"
    rm -rf "$dir.new" "$zip"
    chmod -R u+w "$dir"
    chmod +x "$dir"/bin/* "$dir"/pkg/tool/*/* 2>/dev/null || true
  fi
  export PATH=$dir/bin:$PATH GOROOT=$dir
}

# need_build: what compiling takes.
need_build() {
  need_packages gcc libc6-dev libopus-dev pkg-config ca-certificates git
  need_go
  export GOTOOLCHAIN=local
}

VERSION=${DESKSET_VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}

# build PROGRAM...: into dist/. What is never called of the C in them (miniaudio
# can decode and encode files, too) is left out: half a megabyte of memory.
build() {
  local p
  for p in "$@"; do
    CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -ffunction-sections -fdata-sections" \
      go build -trimpath -ldflags "-s -w -X main.version=$VERSION '-extldflags=-Wl,--gc-sections'" -o "$DIST/$p" "./cmd/$p"
  done
}
