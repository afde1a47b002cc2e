package redis

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// page is how many keys are looked at in a round trip.
const page = 500

// Scan calls f with the keys that match a pattern, some at a time, until it returns false or an error. It is called by one at a time, also where the nodes of a cluster are asked
// at once. A key may come twice; one that comes or goes meanwhile may not come. The error of f is returned as it is.
func (r *Redis) Scan(ctx context.Context, pattern string, f func(keys []string) (more bool, err error)) error {
	var mu sync.Mutex
	more := true
	var said error
	scan := func(ctx context.Context, node redis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, pattern, page).Result()
			if err != nil {
				return err
			}
			mu.Lock()
			if more && len(keys) > 0 {
				more, said = f(keys)
				more = more && said == nil
			}
			end := !more
			mu.Unlock()
			if cursor = next; end || cursor == 0 {
				return nil
			}
		}
	}
	var err error
	if cluster, ok := r.UniversalClient.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return scan(ctx, node) })
	} else {
		err = scan(ctx, r.UniversalClient)
	}
	if said != nil {
		return said
	}
	return r.Err(err)
}
