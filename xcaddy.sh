#!/usr/bin/env bash
# Builds, runs and tests Caddy with this module. It needs Go and git, and installs nothing, but for `test`
# where it is root on Debian: see programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
	cat <<'END'
Usage: ./xcaddy.sh [COMMAND]

  build         build ./caddy: Caddy, caddy-l4 and this module, by xcaddy (the default)
  run [ARGS]    build, then serve Caddyfile.example; Ctrl-C stops it. ARGS go to `caddy run`
  test          everything CI runs: lint, fuzzing, build, the example's config, all tests, end-to-end runs
  lint          bash -n, gofumpt, go vet, staticcheck
  bench [ARGS]  build, then measure the gateway beside other ways, in one run; ARGS go to `go run ./bench`,
                such as -suite relay,tls -rounds 5 -only 50x32x64. `bench -compare REV` compares the Go
                benchmarks with those of another revision
  chaos [ARGS]  build, then break gateways, backends, Redis and networks, and count what was lost; ARGS go to
                `go run ./integration/chaos`, such as -only storm -duration 1h, or -short. See docs/chaos.md

Versions: Caddy's and caddy-l4's are those in go.mod, the tools' those in tools/go.mod.
Paths in ARGS are relative to the repository's root.

The first build downloads and compiles all of Caddy, which takes minutes. Later ones use
what is in Go's caches, ask the network for nothing and take seconds.

FUZZTIME sets how long `test` runs each fuzz target: a number of inputs (default 30000x) or a time (1m).
END
}

# A go.work around the clone must not change what is built.
export GOWORK=off

step() { printf '==> %s\n' "$*"; }

die() {
	printf 'xcaddy.sh: %s\n' "$*" >&2
	exit 1
}

# quietly runs a command and shows what it printed only if it failed.
quietly() {
	local out code=0
	out=$("$@" 2>&1) || code=$?
	[ "$code" -eq 0 ] || printf '%s\n' "$out" >&2
	return "$code"
}

# tool runs a Go tool in the version that tools/go.mod pins.
tool() { go tool -modfile=tools/go.mod "$@"; }

# xcaddys_flags makes go compile as xcaddy does, so that lint and build compile Caddy once between them.
xcaddys_flags() { export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -tags=nobadger,nomysql,nopgx"; }

lint() (
	xcaddys_flags
	step 'lint: bash -n'
	bash -n xcaddy.sh
	bash -n .ci/run
	step 'lint: gofumpt'
	unformatted=$(tool gofumpt -l .)
	[ -z "$unformatted" ] || die "not formatted, run \`go tool -modfile=tools/go.mod gofumpt -w .\`:"$'\n'"$unformatted"
	step 'lint: go vet'
	go vet ./...
	step 'lint: staticcheck'
	tool staticcheck ./...
)

build() (
	xcaddys_flags
	caddy=$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
	layer4=$(go list -m -f '{{.Version}}' github.com/mholt/caddy-l4)
	module=$(go list -m)

	# xcaddy compiles in a module of its own. Compiling here first finds mistakes sooner, and says where by paths the reader knows.
	step 'build: compile this module'
	go build .

	# Online, xcaddy spends half a minute on asking for newer versions, only to build the pinned ones.
	# Offline it can build once an earlier build has left everything in Go's module cache.
	step "build: ./caddy by xcaddy: Caddy $caddy, caddy-l4 $layer4, this module"
	set -- tool xcaddy build "$caddy" --output ./caddy --with "$module@v0.0.0=." --with "github.com/mholt/caddy-l4@$layer4"
	if [ -x caddy ] && (GOPROXY=off "$@") >/dev/null 2>&1; then
		return
	fi
	step 'build: first time, or a module is new: fetch and compile (half a minute to several minutes)'
	quietly "$@"
)

run() {
	build
	step 'run: serve Caddyfile.example'
	exec ./caddy run --config Caddyfile.example "$@"
}

# fuzz gives each fuzz target a number of inputs and not a time: a run cut off by
# time can fail with "context deadline exceeded" for no fault of the target (golang/go#75804).
fuzz() {
	{ grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . || true; } | sort |
		while IFS=: read -r file func; do
			name=${func#func }
			package=$(dirname "$file")
			step "fuzz: $name in $package"
			quietly go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-30000x}" "$package" </dev/null
		done
}

# example checks Caddyfile.example with ./caddy, whose storage it keeps away from the user's.
example() (
	step 'example: caddy fmt, caddy validate'
	home=$(mktemp -d)
	trap 'rm -rf "$home"' EXIT
	export XDG_DATA_HOME=$home XDG_CONFIG_HOME=$home
	formatted=$(./caddy fmt - <Caddyfile.example)
	diff -u Caddyfile.example <(printf '%s\n' "$formatted") || die 'Caddyfile.example is not formatted, run `./caddy fmt --overwrite Caddyfile.example`'
	quietly ./caddy validate --config Caddyfile.example
)

# debian installs Debian packages, where it may; it fails where it may not.
debian() (
	missing=()
	for package in "$@"; do
		dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -qx 'install ok installed' || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -eq 0 ] && [ -f /etc/debian_version ]; then
		step "$command: install ${missing[*]}"
		export DEBIAN_FRONTEND=noninteractive
		policy=/usr/sbin/policy-rc.d # servers are started by whoever needs them: none is to run as a service
		if [ ! -e "$policy" ]; then
			trap 'rm -f "$policy"' EXIT
			printf '#!/bin/sh\nexit 101\n' >"$policy"
			chmod +x "$policy"
		fi
		{ quietly apt-get update && quietly apt-get install -y --no-install-recommends "${missing[@]}"; } && return
	fi
	step "$command: without what needs the Debian packages ${missing[*]}"
	return 1
)

# programs installs what tests run of other people's programs; without them those tests are skipped.
# tshark is for the Wireshark dissector, prometheus for docs/operations, redis for the stores; all others are the servers and clients of docs/recipes.
programs() {
	debian tshark prometheus gearman-job-server gearman-tools memcached libmemcached-tools python3-pymodbus python3-serial-asyncio mbpoll \
		unbound bind9-dnsutils zabbix-agent zabbix-proxy-sqlite3 redis-server redis-tools || true
}

# tests runs all tests, those through ./caddy last and alone: nothing else takes their processor.
# A machine that is busy is slow, and no failure: those take minutes by themselves, so they are given more than Go's ten.
tests() {
	race=-race
	if ! go build -race runtime/cgo 2>/dev/null; then
		step 'test: no C compiler, so without the race detector'
		export CGO_ENABLED=0
		race=
	fi
	programs
	step 'test: all packages'
	go test $race -count=1 -timeout 30m $(go list ./... | grep -v '/integration')
	step 'test: event loops without io_uring'
	CADDY_GOPR_IO_URING=off go test $race -count=1 ./transport
	if [ -n "$race" ]; then
		step 'test: allocations, which the race detector would add to'
		go test -count=1 -run Alloc ./wire ./transport ./client ./upstream ./handler
	fi
	step 'test: end to end, through ./caddy'
	GOPR_CADDY=$PWD/caddy go test $race -count=1 -timeout 30m ./integration/...
}

bench() {
	debian haproxy nginx-light libnginx-mod-stream linux-perf gcc libc6-dev || true
	build
	step 'bench: side by side, in turn'
	exec go run ./bench "$@"
}

chaos() {
	debian redis-server mosquitto || true
	build
	step 'chaos: seeds, bounds and how to read it are in docs/chaos.md'
	exec go run ./integration/chaos "$@"
}

command=${1:-build}
[ $# -eq 0 ] || shift
case $command in
-h | --help | help)
	usage
	exit
	;;
build | run | test | lint | bench | chaos) ;;
*) die "there is no command $command, see ./xcaddy.sh --help" ;;
esac

command -v go >/dev/null || die 'Go is needed: 1.26, or 1.21 or newer, which fetches 1.26 by itself'
case $command in
test)
	lint
	fuzz
	build
	example
	tests
	;;
*) "$command" "$@" ;;
esac
