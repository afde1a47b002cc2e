-- KEYS: 2 is where what is replaced goes.
-- ARGV: the id that may be replaced, and its fence; the owner; the channels' prefix; how long it lasts; its id; its other fields and values.
-- Returns "changed" if another session is there, or under another fence; else the session's fence, and what was replaced.
local there = redis.call('HMGET', KEYS[1], 'id', 'fence')
local id, owner, channel, ttl = ARGV[6], ARGV[3], ARGV[4], ARGV[5]
if there[1] == id then -- it was begun before, and the answer lost
	return {there[2], redis.call('HGETALL', KEYS[2])}
end
if there[1] and (there[1] ~= ARGV[1] or there[2] ~= ARGV[2]) then return {'changed'} end

local fence, replaced = raised(there[2]), {}
if there[1] then
	redis.call('RENAME', KEYS[1], KEYS[2]) -- with the time that it has left
	give(KEYS[2], owner, fence, channel)
	replaced = redis.call('HGETALL', KEYS[2])
end
redis.call('HSET', KEYS[1], 'id', id, 'owner', owner, 'fence', fence, unpack(ARGV, 7))
keep(KEYS[1], ttl)
return {fence, replaced}
