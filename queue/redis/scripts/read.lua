-- KEYS: a box, and what is beside it. ARGV: the first id, how many messages at most, and bytes of payload after which there are no more.
-- Returns 1 if there are more in the box; ids and messages of the box; and of what is beside it.
local first, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found, n = {}, 0
while true do
	local some = redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', 16)
	for _, e in ipairs(some) do
		if n >= most or (n > 0 and bytes <= 0) then
			return {1, found, redis.call('HGETALL', KEYS[2])}
		end
		n = n + 1
		bytes = bytes - (#e[2][2] - 21)
		found[#found + 1] = e[1]
		found[#found + 1] = e[2][2]
		first = '(' .. e[1]
	end
	if #some < 16 then
		return {0, found, redis.call('HGETALL', KEYS[2])}
	end
end
