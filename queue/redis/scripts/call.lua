-- Changes a session's boxes as their owner has decided.
-- KEYS: the session, and its boxes: up, up aside, down, down aside.
-- ARGV: the fence, the number of the call, how long the session is kept from now on (ms, "" to leave it), and changes: a letter, the direction, and two values each.
-- Returns "ok", also if the call was carried out before; "fenced"; or "late" if another one was carried out instead.
-- Ids are strings: they can be larger than a number in Lua keeps.
local m = redis.call('HMGET', KEYS[1], 'fence', 'call', 'gone')
if m[1] ~= ARGV[1] or m[3] then return 'fenced' end
local done, call = tonumber(m[2] or 0), tonumber(ARGV[2])
if done == call then return 'ok' end
if done ~= call - 1 then return 'late' end
redis.call('HSET', KEYS[1], 'call', ARGV[2])
if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end

-- aside has what is beside a stream live as long as the stream.
local function aside(box, side)
	local there, ttl, own = redis.call('EXISTS', side), redis.call('PTTL', box), redis.call('PTTL', side)
	return function()
		if ttl == -1 then
			redis.call('PERSIST', side)
		elseif ttl > 0 and (there == 0 or (own >= 0 and own < ttl)) then
			redis.call('PEXPIRE', side, ttl)
		end
	end
end

local first = {} -- by key: how long it lives when it is made
for i = 4, #ARGV, 4 do
	local what, d, a, b = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
	local box, side = KEYS[2 + 2 * d], KEYS[3 + 2 * d]
	if what == 'p' then -- put: id, message
		redis.call('XADD', box, a .. '-0', 'm', b)
		if first[box] then
			redis.call('PEXPIRE', box, first[box])
			first[box] = nil
		end
	elseif what == 't' then -- trim: the lowest id that stays
		redis.call('XTRIM', box, 'MINID', '=', a)
	elseif what == 'x' then -- remove: id
		if redis.call('XDEL', box, a) == 0 then redis.call('HDEL', side, a) end
	elseif what == 'c' then -- change: id, state and retries; to be Acknowledged costs the payload
		local found = redis.call('XRANGE', box, a, a)[1]
		local v = found and found[2][2] or redis.call('HGET', side, a)
		if v then
			local live = aside(box, side)
			redis.call('XDEL', box, a)
			redis.call('HSET', side, a, v:sub(1, 3) .. b .. v:sub(6, b:byte(1) == 1 and 21 or -1))
			live()
		end
	elseif what == 'r' then -- put anew: id, new id
		local v = redis.call('HGET', side, a)
		if v then
			redis.call('HDEL', side, a)
			redis.call('XADD', box, b .. '-0', 'm', v:sub(1, 3) .. '\0\0' .. v:sub(6))
		end
	elseif what == 'l' then -- the highest id, and what was seen
		redis.call('HSET', KEYS[1], 'last' .. d, a, 'seen' .. d, b)
	elseif what == 'e' then -- how long what is put next lives, "" for ever: so long does the box, at least
		if a == '' then
			redis.call('PERSIST', box)
			redis.call('PERSIST', side)
		else
			for _, key in ipairs({box, side}) do
				local ttl = redis.call('PTTL', key)
				if ttl >= 0 and ttl < tonumber(a) then
					redis.call('PEXPIRE', key, a)
				elseif ttl == -2 and key == box then
					first[box] = a
				end
			end
		end
	elseif what == 'z' then -- an empty stream is still a key
		if redis.call('XLEN', box) == 0 then redis.call('DEL', box) end
	end
end
return 'ok'
