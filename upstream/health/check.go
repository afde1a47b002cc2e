package health

// Check is an active probe's memory. A backend is down after Fall failed probes in a row, and up again after Rise good ones; so one that is lost, or that
// works by luck, changes nothing. The zero value is of a backend that is up, and never changes; set Fall and Rise first.
type Check struct {
	Fall, Rise int
	row        int // outcomes in a row that speak against what it is held to be
	down       bool
}

// Note takes the outcome of a probe, and returns whether the backend is held to be another than before.
func (c *Check) Note(ok bool) (changed bool) {
	if ok != c.down {
		c.row = 0
		return false
	}
	need := c.Fall
	if c.down {
		need = c.Rise
	}
	c.row++
	if c.row < need || need == 0 {
		return false
	}
	c.row, c.down = 0, !c.down
	return true
}

// Clear holds the backend to be up, whatever its probes said.
func (c *Check) Clear() { c.row, c.down = 0, false }

// Down says whether the backend is held to be down.
func (c *Check) Down() bool { return c.down }
