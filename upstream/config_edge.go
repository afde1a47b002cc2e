package upstream

import (
	"errors"
	"fmt"
)

// validateEdge checks how links get to their backends.
func (c *Config) validateEdge() error {
	switch {
	case c.ClientFirst && c.MinLinks > 0:
		return fmt.Errorf("connections min %d is for clients that are not there yet, and the backend wants the client's HELLO first: set min to 0", c.MinLinks)
	case c.ProxyProtocol == "":
	case c.ProxyProtocol != "v2":
		return fmt.Errorf("unknown proxy_protocol %q: v2", c.ProxyProtocol)
	case c.Pooling == Request:
		return errors.New("proxy_protocol tells of one client, and links under pooling request are many clients': take pooling session, or leave it out")
	case c.MinLinks > 0:
		return fmt.Errorf("connections min %d is for clients that are not there yet, and proxy_protocol tells of the client: set min to 0", c.MinLinks)
	}
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

// clientFirst says whether nothing can be said on a link before it is a client's.
func (c *Config) clientFirst() bool { return c.ProxyProtocol != "" || c.ClientFirst }
