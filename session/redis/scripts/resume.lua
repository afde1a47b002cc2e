-- ARGV: the hash of the token that is shown, that of the next one, that of the certificate or "", the owner, the channels' prefix.
-- Returns "unknown", "token", "certificate", or "resumed" and the session.
local shown, next, certificate, owner, channel = unpack(ARGV)
local r = redis.call('HMGET', KEYS[1], 'token', 'before', 'certificate', 'owner', 'fence', 'expiry')
if not r[1] then return {'unknown'} end
if r[4] == owner and equal(r[1], next) then -- it was resumed before, and the answer lost
	return {'resumed', redis.call('HGETALL', KEYS[1])}
end

-- As session.Claim.Check has it: before is hashes, one after the other.
local before, isToken, at = r[2] or '', equal(r[1], shown)
for i = 0, #before / 32 - 1 do
	if equal(before:sub(32 * i + 1, 32 * i + 32), shown) then at = i end
end
if not isToken and not at then return {'token'} end
if r[3] and not equal(r[3], certificate) then return {'certificate'} end

if isToken or at > 0 then
	before = shown
else
	if #before >= 4 * 32 then before = before:sub(1, 32) .. before:sub(65) end
	before = before .. r[1]
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'token', next, 'before', before, 'seen', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
give(KEYS[1], owner, raised(r[5]), channel)
keep(KEYS[1], r[6])
return {'resumed', redis.call('HGETALL', KEYS[1])}
