// Package redis opens a Redis.
package redis

import _ "github.com/redis/go-redis/v9"
