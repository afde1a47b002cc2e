-- Wireshark's dissector of the format "length", made by `caddy gopr dissector`.
--
-- For once:   tshark -X lua_script:FILE -r capture.pcapng   (or wireshark, as well)
-- For always: copy it into the folder that Wireshark names in Help, About Wireshark, Folders, Personal Lua Plugins.

local made, proto = pcall(Proto, "length", "Frames of length")
if not made then
	error("Wireshark has a protocol length already: run caddy gopr dissector again with --proto and another name", 0)
end

local f = {
	length = ProtoField.uint32("length.length", "Length", base.DEC),
	payload = ProtoField.bytes("length.payload", "Payload"),
}
proto.fields = f

local wrong = {
	frame = ProtoExpert.new("length.malformed", "Not a frame", expert.group.MALFORMED, expert.severity.ERROR),
}
proto.experts = wrong

-- frame_size is the size of the frame at a byte. nil: that is not known yet, or, with a sentence, no frame begins there.
local function frame_size(tvb, at)
	local left = tvb:len() - at
	if left < 4 then
		return nil
	end
	local length = tvb(at + 0, 4):uint()
	if length < 0 or length > 1048572 then
		return nil, "a length of " .. length .. ", want 0 to 1048572"
	end
	return length + 4
end

-- dissect shows one whole frame.
local function dissect(tvb, pinfo, tree, at, size)
	local payload_at, payload_len = at + 4, size - 4
	local frame = { payload = payload_len > 0 and tvb:raw(payload_at, payload_len) or "" }
	local node = tree:add(proto, tvb(at, size))
	local length = node:add(f.length, tvb(at + 0, 4))
	if payload_len > 0 then
		node:add(f.payload, tvb(payload_at, payload_len))
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
			local found = nil
			if frames == 0 and not found then
				return 0 -- somebody else's
			end
			pass_over(tvb, tree, at, found or tvb:len(), why)
			at = found or tvb:len()
		elseif size and at + size <= tvb:len() then
			pinfo.cols.protocol = "LENGTH"
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
