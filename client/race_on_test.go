//go:build race

package client

// raceEnabled: the race detector runs. It makes sync.Pool forget at random, and everything slower.
const raceEnabled = true
