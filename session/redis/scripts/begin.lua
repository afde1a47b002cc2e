-- KEYS: 2 is where what is replaced goes.
-- ARGV: the id that is to be replaced, "" if none; the owner; the channels' prefix; how long it lasts; its id; its other fields and values.
-- Returns "changed" if another session is there than is to be replaced; else the session's fence, and what was replaced.
local there = redis.call('HMGET', KEYS[1], 'id', 'fence')
local id, owner, channel, ttl = ARGV[5], ARGV[2], ARGV[3], ARGV[4]
if there[1] == id then -- it was begun before, and the answer lost
	return {there[2], redis.call('HGETALL', KEYS[2])}
end
if (there[1] or '') ~= ARGV[1] then return {'changed'} end

local fence, replaced = raised(there[2]), {}
if there[1] then
	redis.call('RENAME', KEYS[1], KEYS[2]) -- with the time that it has left
	give(KEYS[2], owner, fence, channel)
	replaced = redis.call('HGETALL', KEYS[2])
end
redis.call('HSET', KEYS[1], 'id', id, 'owner', owner, 'fence', fence, unpack(ARGV, 6))
keep(KEYS[1], ttl)
return {fence, replaced}
