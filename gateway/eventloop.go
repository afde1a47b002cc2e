package gateway

import "os"

// EventLoop says whether plain TCP connections, of clients and to backends, are served by event loops where the system has them (Linux), rather than by a goroutine
// each. They are, unless the environment says CADDY_GOPR_EVENT_LOOP=off: to compare, and to rule it out when something is wrong.
var EventLoop = os.Getenv("CADDY_GOPR_EVENT_LOOP") != "off"
