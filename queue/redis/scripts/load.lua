-- What is known of a session's boxes, for who owns them, or is to.
-- KEYS: the session, and its boxes: up, up aside, down, down aside.
-- ARGV: "open" to give it to an owner, "load" to go on as its owner, or "look"; the fence; how long the session is kept from now on (ms); and of each direction the highest id
--       that counts, "" if all do: what is above it was put by calls that failed as far as the owner knows; the fence that this one had; and of each direction what it had
--       seen before: with a message that is undone its sender's id is, too, or what comes again would be taken for what is here.
-- Returns "fenced"; or the number of the last call, of each direction the highest id and what was seen, and of each box ids, headers and sizes.
local mode, fence = ARGV[1], ARGV[2]
local m = redis.call('HMGET', KEYS[1], 'fence', 'call', 'gone', 'last0', 'seen0', 'last1', 'seen1')

if mode == 'open' then
	if m[1] and tonumber(fence) < tonumber(m[1]) then return {'fenced'} end
	redis.call('HSET', KEYS[1], 'fence', fence)
	redis.call('HDEL', KEYS[1], 'gone')
elseif mode == 'load' and (m[1] ~= fence or m[3]) then
	return {'fenced'}
end
if mode ~= 'look' then
	-- A call that is late, its connection having been given up, comes too late from now on.
	m[2] = redis.call('HINCRBY', KEYS[1], 'call', 1)
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
	for d = 0, 1 do
		local last, box = ARGV[4 + d], KEYS[2 + 2 * d]
		if last ~= '' and m[1] == ARGV[6] then
			-- A stream takes no id below one that it had: so it is made anew.
			local kept, ttl = redis.call('XRANGE', box, '-', last), redis.call('PTTL', box)
			redis.call('DEL', box)
			for _, e in ipairs(kept) do
				redis.call('XADD', box, e[1], 'm', e[2][2])
			end
			if ttl > 0 and #kept > 0 then redis.call('PEXPIRE', box, ttl) end
			redis.call('HSET', KEYS[1], 'last' .. d, last, 'seen' .. d, ARGV[7 + d])
			m[4 + 2 * d], m[5 + 2 * d] = last, ARGV[7 + d]
		end
	end
end

local answer = {tonumber(m[2] or 0), m[4] or '0', m[5] or '0', m[6] or '0', m[7] or '0'}
for d = 0, 1 do
	local inside, aside, all = {}, {}, redis.call('HGETALL', KEYS[3 + 2 * d])
	for _, e in ipairs(redis.call('XRANGE', KEYS[2 + 2 * d], '-', '+')) do
		local v = e[2][2]
		inside[#inside + 1] = e[1]
		inside[#inside + 1] = v:sub(1, 21)
		inside[#inside + 1] = #v - 21
	end
	for i = 1, #all, 2 do
		aside[#aside + 1] = all[i]
		aside[#aside + 1] = all[i + 1]:sub(1, 21)
		aside[#aside + 1] = #all[i + 1] - 21
	end
	answer[#answer + 1] = inside
	answer[#answer + 1] = aside
end
return answer
