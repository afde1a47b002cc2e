-- ARGV: id, fence. Returns 0 if the session has another fence, or is no more.
local key = find(ARGV[1], ARGV[2])
if not key then return 0 end
redis.call('HDEL', key, 'before')
return 1
