-- ARGV: id, the fence that it had when its owner was found to be no more, the new owner, the channels' prefix. Returns the session; nothing if it has changed.
local key = find(ARGV[1], ARGV[2])
if not key then return {} end
give(key, ARGV[3], raised(ARGV[2]), ARGV[4])
return redis.call('HGETALL', key)
