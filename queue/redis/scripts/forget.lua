-- Forgets a session's boxes, but for the fence.
-- KEYS: the session, and its boxes: up, up aside, down, down aside.
-- ARGV: the fence, for how long it is remembered (ms). Returns "fenced" if the session has a higher one.
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and tonumber(ARGV[1]) < tonumber(fence) then return 'fenced' end
redis.call('DEL', unpack(KEYS))
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'gone', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'ok'
