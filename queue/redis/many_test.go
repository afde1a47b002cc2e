package redis

import (
	"testing"

	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestCluster(t *testing.T) { conformance(t, redistest.Cluster(t)) }
