-- Wireshark's dissector of the format "gopr", made by `caddy gopr dissector`.
--
-- For once:   tshark -X lua_script:FILE -r capture.pcapng   (or wireshark, as well)
-- For always: copy it into the folder that Wireshark names in Help, About Wireshark, Folders, Personal Lua Plugins.

local made, proto = pcall(Proto, "gopr", "GOPR protocol")
if not made then
	error("Wireshark has a protocol gopr already: run caddy gopr dissector again with --proto and another name", 0)
end

local commands = {
	[1] = "PING",
	[2] = "PONG",
	[3] = "HELLO",
	[4] = "WELCOME",
	[5] = "PUBACK",
	[6] = "PUBREC",
	[7] = "PUBREL",
	[8] = "PUBCOMP",
	[9] = "GOAWAY",
	[10] = "ERROR",
	[11] = "BYE",
}

local f = {
	magic = ProtoField.bytes("gopr.magic", "Magic"),
	version = ProtoField.uint16("gopr.version", "Version", base.DEC),
	length = ProtoField.uint16("gopr.length", "Length", base.DEC),
	cmd = ProtoField.uint8("gopr.cmd", "Command", base.HEX, commands),
	flag = ProtoField.uint8("gopr.flag", "Flag", base.HEX),
	flag_req = ProtoField.bool("gopr.flag.req", "Asks for an answer", 8, nil, 0x01),
	flag_rsp = ProtoField.bool("gopr.flag.rsp", "Is the answer", 8, nil, 0x02),
	flag_qos = ProtoField.uint8("gopr.flag.qos", "Quality of service", base.DEC, nil, 0x0C),
	flag_dup = ProtoField.bool("gopr.flag.dup", "Sent before", 8, nil, 0x10),
	flag_id = ProtoField.bool("gopr.flag.id", "Payload begins with an id", 8, nil, 0x20),
	flag_crc = ProtoField.bool("gopr.flag.crc", "Payload ends with a CRC-32", 8, nil, 0x40),
	heartbeat = ProtoField.string("gopr.heartbeat", "Heartbeat"),
	asks = ProtoField.bool("gopr.asks", "Asks for an answer"),
	answers = ProtoField.bool("gopr.answers", "Is an answer"),
	payload = ProtoField.bytes("gopr.payload", "Payload"),
}
proto.fields = f

local wrong = {
	frame = ProtoExpert.new("gopr.malformed", "Not a frame", expert.group.MALFORMED, expert.severity.ERROR),
	version = ProtoExpert.new("gopr.version.unknown", "Version not accepted by default", expert.group.PROTOCOL, expert.severity.WARN),
}
proto.experts = wrong

-- band is a and b; BitOp's own result is signed.
local function band(a, b) return bit.band(a, b) % 4294967296 end

local MAGIC = "GOPR"

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
	if left < 10 then
		return nil
	end
	local length = tvb(at + 6, 2):uint()
	if length < 0 or length > 65535 then
		return nil, "a length of " .. length .. ", want 0 to 65535"
	end
	return length + 10
end

local function known_version(version) return version == 1 end

-- is_ping: the peer wants to know whether we live.
local function is_ping(frame)
	return frame.cmd == 0x01 and frame.flag == 0x01
end

-- is_pong: a ping was answered.
local function is_pong(frame)
	return frame.cmd == 0x02 and frame.flag == 0x02
end

-- asks: exactly one frame answers it.
local function asks(frame)
	return band(frame.flag, 0x01) == 0x01
end

-- answers: it is the answer to a frame that asked.
local function answers(frame)
	return band(frame.flag, 0x02) == 0x02
end

-- dissect shows one whole frame.
local function dissect(tvb, pinfo, tree, at, size)
	local payload_at, payload_len = at + 10, size - 10
	local frame = { payload = payload_len > 0 and tvb:raw(payload_at, payload_len) or "" }
	local node = tree:add(proto, tvb(at, size))
	node:add(f.magic, tvb(at + 0, 4))
	frame.version = tvb(at + 4, 2):uint()
	local version = node:add(f.version, tvb(at + 4, 2))
	if not known_version(frame.version) then
		version:add_proto_expert_info(wrong.version)
	end
	local length = node:add(f.length, tvb(at + 6, 2))
	frame.cmd = tvb(at + 8, 1):uint()
	local cmd = node:add(f.cmd, tvb(at + 8, 1))
	frame.flag = tvb(at + 9, 1):uint()
	local flag = node:add(f.flag, tvb(at + 9, 1))
	flag:add(f.flag_req, tvb(at + 9, 1))
	flag:add(f.flag_rsp, tvb(at + 9, 1))
	flag:add(f.flag_qos, tvb(at + 9, 1))
	flag:add(f.flag_dup, tvb(at + 9, 1))
	flag:add(f.flag_id, tvb(at + 9, 1))
	flag:add(f.flag_crc, tvb(at + 9, 1))
	if payload_len > 0 then
		node:add(f.payload, tvb(payload_at, payload_len))
	end

	local words = {}
	table.insert(words, commands[frame.cmd] or string.format("cmd 0x%02X", frame.cmd))
	if is_ping(frame) then
		node:add(f.heartbeat, "ping"):set_generated()
	end
	if is_pong(frame) then
		node:add(f.heartbeat, "pong"):set_generated()
	end
	if asks(frame) then
		node:add(f.asks, true):set_generated()
		table.insert(words, "asks")
	end
	if answers(frame) then
		node:add(f.answers, true):set_generated()
		table.insert(words, "answers")
	end
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
			pinfo.cols.protocol = "GOPR"
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
	if tvb:len() < 10 or not frame_size(tvb, 0) then
		return false
	end
	if not known_version(tvb(0 + 4, 2):uint()) then
		return false
	end
	pinfo.conversation = proto
	dissect_all(tvb, pinfo, tree) -- by proto.dissector it would be a layer deeper, where TCP gathers no segments
	return true
end
proto:register_heuristic("tcp", by_magic)
proto:register_heuristic("tls", by_magic)
