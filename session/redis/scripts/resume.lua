-- ARGV: the hash of the token that is shown, that of the next one, the salt of that, the hash of the certificate or "", the owner, the channels' prefix.
-- Returns "unknown", "token", "certificate", or "resumed" and the session.
local shown, next, salt, certificate, owner, channel = unpack(ARGV)
local r = redis.call('HMGET', KEYS[1], 'token', 'before', 'certificate', 'owner', 'fence', 'expiry', 'claim')
if not r[1] then return {'unknown'} end
if r[4] == owner and r[7] == salt then -- it was resumed before, and the answer lost
	return {'resumed', redis.call('HGETALL', KEYS[1])}
end

-- As session.Claim.Check has it: before is a hash, and the salt that made token of it.
local before = r[2] or ''
local isToken, again = equal(r[1], shown), #before == 48 and equal(before:sub(1, 32), shown)
if not isToken and not again then return {'token'} end
if r[3] and not equal(r[3], certificate) then return {'certificate'} end

if isToken then
	redis.call('HSET', KEYS[1], 'token', next, 'before', shown .. salt)
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'claim', salt, 'seen', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
give(KEYS[1], owner, raised(r[5]), channel)
keep(KEYS[1], r[6])
return {'resumed', redis.call('HGETALL', KEYS[1])}
