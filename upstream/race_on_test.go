//go:build race

package upstream

// raceEnabled: the race detector runs. It makes sync.Pool forget at random.
const raceEnabled = true
