-- What all scripts of sessions begin with. A session is a hash: id (hex), client, owner, fence, token, before, certificate, since, seen, expiry (ms), attributes (JSON),
-- claim (the salt of the last that was good, by which one that is made twice is known).
-- It is under KEYS[1] if its client may resume it, and under KEYS[2] if it was replaced. A key that is not there has expired, or has ended.

-- find returns the key of the session with an id; under a fence, if there is one.
local function find(id, fence)
	for _, key in ipairs(KEYS) do
		local r = redis.call('HMGET', key, 'id', 'fence')
		if r[1] == id then
			return (not fence or r[2] == fence) and key
		end
	end
end

-- raised returns a fence above the one given; and above all that the client's sessions ever had, even if nothing is known of them any more, since it follows the clock
-- (microseconds). So it does after a failover that lost some.
local function raised(fence)
	local time = redis.call('TIME')
	return string.format('%.0f', math.max(tonumber(fence or 0) + 1, time[1] * 1000000 + time[2]))
end

-- give changes the hands of a session, and tells the owner before on a channel.
local function give(key, owner, fence, channel)
	local r = redis.call('HMGET', key, 'owner', 'id', 'client')
	redis.call('HSET', key, 'owner', owner, 'fence', fence)
	if r[1] ~= owner then
		redis.call('PUBLISH', channel .. r[1], r[2] .. ' ' .. fence .. ' ' .. r[3])
	end
end

-- keep has a key live on for some time (ms).
local function keep(key, ttl)
	if tonumber(ttl) > 0 then
		redis.call('PEXPIRE', key, ttl)
	else
		redis.call('DEL', key)
	end
end

-- equal takes as long for any two strings of one length.
local function equal(a, b)
	local different = 0
	if #a ~= #b then return false end
	for i = 1, #a do
		different = bit.bor(different, bit.bxor(a:byte(i), b:byte(i)))
	end
	return different == 0
end
