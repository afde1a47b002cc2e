-- ARGV: id, fence, seen, expiry, how long it lasts from now. Returns 0 if the session has another fence, or is no more.
local key = find(ARGV[1], ARGV[2])
if not key then return 0 end
redis.call('HSET', key, 'seen', ARGV[3], 'expiry', ARGV[4])
keep(key, ARGV[5])
return 1
