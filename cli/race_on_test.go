//go:build race

package cli

// raceDetector: under it, sync.Pool forgets at random what it was given, so allocations say nothing.
const raceDetector = true
