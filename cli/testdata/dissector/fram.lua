-- Wireshark's dissector of the format "fram", made by `caddy gopr dissector`.
--
-- For once:   tshark -X lua_script:FILE -r capture.pcapng   (or wireshark, as well)
-- For always: copy it into the folder that Wireshark names in Help, About Wireshark, Folders, Personal Lua Plugins.

local made, proto = pcall(Proto, "fram", "Frames of fram")
if not made then
	error("Wireshark has a protocol fram already: run caddy gopr dissector again with --proto and another name", 0)
end

local f = {
	magic = ProtoField.bytes("fram.magic", "Magic"),
	length = ProtoField.uint16("fram.length", "Length", base.DEC),
	checksum = ProtoField.uint32("fram.checksum", "Checksum", base.HEX),
	status = ProtoField.string("fram.checksum.status", "Checksum status"),
	payload = ProtoField.bytes("fram.payload", "Payload"),
}
proto.fields = f

local wrong = {
	frame = ProtoExpert.new("fram.malformed", "Not a frame", expert.group.MALFORMED, expert.severity.ERROR),
	checksum = ProtoExpert.new("fram.checksum.bad", "Bad checksum", expert.group.CHECKSUM, expert.severity.ERROR),
}
proto.experts = wrong

-- checksum is crc32 of a string, by a table of what a byte adds.
local sums = {}
for i = 0, 255 do
	local sum = i
	for _ = 1, 8 do
		sum = sum % 2 == 1 and bit.bxor(math.floor(sum / 2), 0xEDB88320) % 4294967296 or math.floor(sum / 2)
	end
	sums[i] = sum
end
local function checksum(s)
	local sum = 4294967295
	for i = 1, #s do
		sum = bit.bxor(math.floor(sum / 256), sums[bit.band(bit.bxor(sum, s:byte(i)), 255)]) % 4294967296
	end
	return 4294967295 - sum
end

local MAGIC = "FRAM"

-- next_magic is where the next frame may begin; nil: nowhere in these bytes.
local function next_magic(tvb, from)
	from = from + 0 + 1 -- strings count from 1
	if from > tvb:len() then
		return nil
	end
	local bytes = tvb:raw()
	local found = bytes:find(MAGIC, from, true)
	return found and found - 0 - 1
end

-- frame_size is the size of the frame at a byte. nil: that is not known yet, or, with a sentence, no frame begins there.
local function frame_size(tvb, at)
	local left = tvb:len() - at
	local n = math.min(left - 0, #MAGIC)
	if n > 0 then
		local magic = tvb:raw(at + 0, n)
		if magic ~= MAGIC:sub(1, n) then
			return nil, "wrong magic"
		end
	end
	if left < 6 then
		return nil
	end
	local length = tvb(at + 4, 2):uint()
	if length < 0 or length > 65535 then
		return nil, "a length of " .. length .. ", want 0 to 65535"
	end
	return length + 10
end

-- dissect shows one whole frame.
local function dissect(tvb, pinfo, tree, at, size)
	local payload_at, payload_len = at + 6, size - 10
	local frame = { payload = payload_len > 0 and tvb:raw(payload_at, payload_len) or "" }
	local node = tree:add(proto, tvb(at, size))
	node:add(f.magic, tvb(at + 0, 4))
	local length = node:add(f.length, tvb(at + 4, 2))
	if payload_len > 0 then
		node:add(f.payload, tvb(payload_at, payload_len))
	end
	local carried, computed = tvb(at + size - 4 + 0, 4):uint(), checksum(tvb:raw(at + 0, 6) .. (size > 10 and tvb:raw(at + 6, size - 10) or ""))
	local checksum = node:add(f.checksum, tvb(at + size - 4 + 0, 4))
	node:add(f.status, carried == computed and "good" or "bad"):set_generated()
	if carried ~= computed then
		checksum:add_proto_expert_info(wrong.checksum, string.format("Bad checksum, want 0x%08x", computed))
	end

	local words = {}
	table.insert(words, payload_len == 1 and "1 byte" or payload_len .. " bytes")
	local text = table.concat(words, ", ")
	node:append_text(": " .. text)
	pinfo.cols.info:set("[" .. text .. "] ")
	pinfo.cols.info:fence() -- several frames of a packet stand side by side
end

-- pass_over shows bytes that are no frame.
local function pass_over(tvb, tree, from, to, why)
	tree:add(proto, tvb(from, to - from), "Not a frame"):add_proto_expert_info(wrong.frame, why)
end

-- Frames are cut out of the stream here, and not by dissect_tcp_pdus, which cannot look for the next frame where a
-- capture begins in the middle of one.
local function dissect_all(tvb, pinfo, tree)
	if tvb:len() ~= tvb:reported_len() then
		return 0 -- the packet was captured in part
	end
	local at, frames = 0, 0
	while at < tvb:len() do
		local size, why = frame_size(tvb, at)
		if why then
			local found = next_magic(tvb, at + 1)
			if frames == 0 and not found then
				return 0 -- somebody else's
			end
			pass_over(tvb, tree, at, found or tvb:len(), why)
			at = found or tvb:len()
		elseif size and at + size <= tvb:len() then
			pinfo.cols.protocol = "FRAM"
			dissect(tvb, pinfo, tree, at, size)
			frames = frames + 1
			at = at + size
		elseif pinfo.can_desegment > 0 then
			pinfo.desegment_offset = at
			pinfo.desegment_len = size and at + size - tvb:len() or DESEGMENT_ONE_MORE_SEGMENT
			return tvb:len()
		else
			pass_over(tvb, tree, at, tvb:len(), "the rest of the frame is not in this packet")
			at = tvb:len()
		end
	end
	return tvb:len()
end
proto.dissector = dissect_all

DissectorTable.get("tcp.port"):add(7450, proto)

-- On other ports, and inside of TLS, a connection is known by its first whole header.
local function by_magic(tvb, pinfo, tree)
	if tvb:len() < 6 or not frame_size(tvb, 0) then
		return false
	end
	pinfo.conversation = proto
	dissect_all(tvb, pinfo, tree) -- by proto.dissector it would be a layer deeper, where TCP gathers no segments
	return true
end
proto:register_heuristic("tcp", by_magic)
proto:register_heuristic("tls", by_magic)
