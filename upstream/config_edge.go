package upstream

// validateEdge checks how links get to their backends.
func (c *Config) validateEdge() error {
	if c.TLS != nil {
		if err := c.TLS.Validate(c.Backends); err != nil {
			return err
		}
	}
	if c.LocalAddress != "" {
		local, err := ParseLocalAddress(c.LocalAddress)
		if err != nil {
			return err
		}
		for _, b := range c.Backends {
			if err := checkLocal(local, b); err != nil {
				return err
			}
		}
	}
	return nil
}
