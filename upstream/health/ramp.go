package health

import "time"

// RampSteps is the greatest share that Ramp returns: a backend's whole one.
const RampSteps = 20

// Ramp returns the share of its traffic that a backend takes that came back at the given time, in parts of RampSteps: a tenth at once, and then more and more evenly, all of
// it when the length of the ramp is over.
func Ramp(back, now time.Time, length time.Duration) int {
	const first = RampSteps / 10
	since := now.Sub(back)
	if since >= length {
		return RampSteps
	}
	return max(first, int(RampSteps*since/length))
}
