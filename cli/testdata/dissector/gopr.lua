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

local errors = {
	[1] = "malformed",
	[2] = "not authorized",
	[3] = "queue full",
	[4] = "store unavailable",
	[5] = "request lost",
	[6] = "wrong id",
	[7] = "too many",
	[8] = "protocol",
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
	id = ProtoField.uint32("gopr.id", "Id", base.DEC),
	checksum = ProtoField.uint32("gopr.checksum", "Checksum", base.HEX),
	status = ProtoField.string("gopr.checksum.status", "Checksum status"),
	hello_version = ProtoField.uint8("gopr.hello.version", "Version of HELLO", base.DEC),
	capabilities = ProtoField.uint8("gopr.capabilities", "Capabilities", base.HEX),
	capability_qos = ProtoField.bool("gopr.capabilities.qos", "Quality of service", 8, nil, 0x01),
	capability_crc = ProtoField.bool("gopr.capabilities.crc", "CRC", 8, nil, 0x02),
	capability_resume = ProtoField.bool("gopr.capabilities.resume", "Resume", 8, nil, 0x04),
	capability_pong = ProtoField.bool("gopr.capabilities.pong", "PINGs are answered", 8, nil, 0x08),
	expiry = ProtoField.uint32("gopr.session.expiry", "Session expiry, s", base.DEC),
	client_id = ProtoField.bytes("gopr.client_id", "Client id"),
	client = ProtoField.string("gopr.client", "Client id, as text"),
	token_length = ProtoField.uint8("gopr.token.length", "Resume token, not shown; bytes", base.DEC),
	credential_length = ProtoField.uint16("gopr.credential.length", "Credential, not shown; bytes", base.DEC),
	session = ProtoField.uint8("gopr.session.status", "Session", base.DEC, {[0] = "new", [1] = "resumed"}),
	heartbeat_interval = ProtoField.uint16("gopr.heartbeat.interval", "Heartbeat, s", base.DEC),
	idle = ProtoField.uint16("gopr.idle", "Idle timeout, s", base.DEC),
	window = ProtoField.uint16("gopr.window", "In-flight window", base.DEC),
	last_id = ProtoField.uint32("gopr.last_id", "Last id received from the client", base.DEC),
	goaway_reason = ProtoField.uint16("gopr.goaway.reason", "Reason", base.DEC, {[0] = "another", [1] = "drain", [2] = "taken over", [3] = "ended"}),
	goaway_after = ProtoField.uint32("gopr.goaway.after", "Come back after, ms", base.DEC),
	error_code = ProtoField.uint16("gopr.error.code", "Code", base.DEC, errors),
	error_text = ProtoField.string("gopr.error.text", "Text"),
	heartbeat = ProtoField.string("gopr.heartbeat", "Heartbeat"),
	asks = ProtoField.bool("gopr.asks", "Asks for an answer"),
	answers = ProtoField.bool("gopr.answers", "Is an answer"),
	payload = ProtoField.bytes("gopr.payload", "Payload"),
}
proto.fields = f

local wrong = {
	frame = ProtoExpert.new("gopr.malformed", "Not a frame", expert.group.MALFORMED, expert.severity.ERROR),
	version = ProtoExpert.new("gopr.version.unknown", "Version not accepted by default", expert.group.PROTOCOL, expert.severity.WARN),
	checksum = ProtoExpert.new("gopr.checksum.bad", "Bad checksum", expert.group.CHECKSUM, expert.severity.ERROR),
	extended = ProtoExpert.new("gopr.extended.malformed", "Malformed on an extended connection", expert.group.MALFORMED, expert.severity.ERROR),
}
proto.experts = wrong

-- band is a and b; BitOp's own result is signed.
local function band(a, b) return bit.band(a, b) % 4294967296 end

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

-- Which connections are extended: by its TCP stream, the packet in which HELLO or WELCOME was said.
local tcp_stream = Field.new("tcp.stream")
local extended_since = {}
function proto.init() extended_since = {} end
proto.prefs.extended = Pref.bool("All connections are extended", false,
	"Read all frames as those of extended connections: for captures that begin after HELLO")

-- hello_size is how long a HELLO's payload is by its own lengths; nil: longer than these bytes. welcome_size, likewise.
local function hello_size(tvb)
	local at = 6
	for _, size in ipairs({1, 1, 2}) do
		if tvb:len() < at + size then
			return nil
		end
		local n = tvb(at, size):uint()
		if at == 6 and n == 0 then
			return nil
		end
		at = at + size + n
	end
	return at <= tvb:len() and at or nil
end
local function welcome_size(tvb)
	if tvb:len() < 18 or tvb(1, 1):uint() > 1 then
		return nil
	end
	local size = 18 + tvb(17, 1):uint()
	return size <= tvb:len() and size or nil
end

-- greets reports whether a frame is a HELLO or a WELCOME: tvb is its payload.
local function greets(frame, tvb)
	if frame.flag ~= 0 or frame.cmd ~= 3 and frame.cmd ~= 4 or tvb:len() == 0 or tvb(0, 1):uint() == 0 then
		return false
	end
	local size = frame.cmd == 3 and hello_size(tvb) or frame.cmd == 4 and welcome_size(tvb)
	return size and (size == tvb:len() or tvb(0, 1):uint() > 1)
end

local function is_extended(pinfo, frame, tvb)
	local stream = tcp_stream()
	stream = stream and stream.value
	if stream and not extended_since[stream] and greets(frame, tvb) then
		extended_since[stream] = pinfo.number
	end
	return proto.prefs.extended or stream and extended_since[stream] and extended_since[stream] <= pinfo.number
end

local function capability_bits(node, range)
	local bits = node:add(f.capabilities, range)
	for _, bit in ipairs({f.capability_qos, f.capability_crc, f.capability_resume, f.capability_pong}) do
		bits:add(bit, range)
	end
end

-- control shows the payload of each of the protocol's own frames, tvb, and returns words for the column; nil: it is malformed.
local control = {}
control[3] = function(tvb, node, frame)
	if not greets(frame, tvb) then
		return nil
	end
	local client, at = tvb(6, 1):uint(), 7
	node:add(f.hello_version, tvb(0, 1))
	capability_bits(node, tvb(1, 1))
	node:add(f.expiry, tvb(2, 4))
	node:add(f.client_id, tvb(at, client))
	local words = {}
	if not tvb:raw(at, client):find("[^\032-\126]") then
		node:add(f.client, tvb(at, client))
		table.insert(words, "client " .. tvb(at, client):string())
	end
	at = at + client
	node:add(f.token_length, tvb(at, 1))
	if tvb(at, 1):uint() > 0 then
		table.insert(words, "token")
	end
	at = at + 1 + tvb(at, 1):uint()
	node:add(f.credential_length, tvb(at, 2))
	if tvb(at, 2):uint() > 0 then
		table.insert(words, "credential")
	end
	return words
end
control[4] = function(tvb, node, frame)
	if not greets(frame, tvb) then
		return nil
	end
	node:add(f.hello_version, tvb(0, 1))
	node:add(f.session, tvb(1, 1))
	capability_bits(node, tvb(2, 1))
	node:add(f.heartbeat_interval, tvb(3, 2))
	node:add(f.idle, tvb(5, 2))
	node:add(f.expiry, tvb(7, 4))
	node:add(f.window, tvb(11, 2))
	node:add(f.last_id, tvb(13, 4))
	node:add(f.token_length, tvb(17, 1))
	return {tvb(1, 1):uint() == 1 and "resumed" or "new"}
end
for cmd = 5, 8 do
	control[cmd] = function(tvb, node, frame)
		if frame.flag ~= 0 or tvb:len() ~= 4 or tvb():uint() == 0 then
			return nil
		end
		node:add(f.id, tvb())
		return {"id " .. tvb():uint()}
	end
end
control[9] = function(tvb, node, frame)
	if frame.flag ~= 0 or tvb:len() ~= 6 then
		return nil
	end
	node:add(f.goaway_reason, tvb(0, 2))
	node:add(f.goaway_after, tvb(2, 4))
	return {"back after " .. tvb(2, 4):uint() .. " ms"}
end
control[10] = function(tvb, node, frame)
	local at, words = 0, {}
	if frame.flag == 0x20 then
		if tvb:len() < 6 or tvb(0, 4):uint() == 0 then
			return nil
		end
		node:add(f.id, tvb(0, 4))
		words[1] = "id " .. tvb(0, 4):uint()
		at = 4
	elseif frame.flag ~= 0 or tvb:len() < 2 then
		return nil
	end
	node:add(f.error_code, tvb(at, 2))
	local code = tvb(at, 2):uint()
	table.insert(words, 1, errors[code] or "code " .. code)
	if tvb:len() > at + 2 then
		node:add_packet_field(f.error_text, tvb(at + 2), ENC_UTF_8)
	end
	return words
end
control[11] = function(tvb, node, frame)
	return frame.flag == 0 and tvb:len() == 0 and {} or nil
end

-- message shows an application's frame whole. It returns words for the column; nil: it is malformed; and the length of the application's own payload.
local function message(tvb, node, at, size, frame)
	local payload, rest = at + 10, size - 10
	local qos, words = math.floor(band(frame.flag, 0x0C) / 4), {}
	if band(frame.flag, 0x40) ~= 0 then
		if rest < 4 then
			return nil
		end
		rest = rest - 4
		local carried, computed = tvb(at + size - 4, 4):uint(), checksum(tvb:raw(at, size - 4))
		local checksum = node:add(f.checksum, tvb(at + size - 4, 4))
		node:add(f.status, carried == computed and "good" or "bad"):set_generated()
		if carried ~= computed then
			checksum:add_proto_expert_info(wrong.checksum, string.format("Bad checksum, want 0x%08x", computed))
		end
	end
	local id, answer, dup = band(frame.flag, 0x20) ~= 0, band(frame.flag, 0x02) ~= 0, band(frame.flag, 0x10) ~= 0
	if band(frame.flag, 0x80) ~= 0 or band(frame.flag, 0x03) == 3 or qos == 3 or qos > 0 and (not id or answer) or qos == 0 and dup then
		return nil
	end
	if qos > 0 then
		table.insert(words, "QoS " .. qos)
	end
	if id then
		if rest < 4 or tvb(payload, 4):uint() == 0 then
			return nil
		end
		node:add(f.id, tvb(payload, 4))
		table.insert(words, "id " .. tvb(payload, 4):uint())
		payload, rest = payload + 4, rest - 4
	end
	if dup then
		table.insert(words, "dup")
	end
	if rest > 0 then
		node:add(f.payload, tvb(payload, rest))
	end
	return words, rest
end

-- extended shows what lies behind the header of a frame on an extended connection. It returns words for the column, and the length of the application's own
-- payload where it has one; nil: the connection is plain.
local function extended(tvb, pinfo, node, at, size, frame)
	local payload = size > 10 and tvb(at + 10, size - 10):tvb() or ByteArray.new():tvb("empty")
	if not is_extended(pinfo, frame, payload) then
		return nil
	end
	local words, rest
	if frame.cmd >= 16 then
		words, rest = message(tvb, node, at, size, frame)
	elseif frame.cmd == 1 and frame.flag == 1 or frame.cmd == 2 and frame.flag == 2 then
		if size > 10 then
			node:add(f.payload, payload())
		end
		return {}, size - 10
	elseif control[frame.cmd] then
		words = control[frame.cmd](payload, node, frame)
	end
	if not words then
		node:add_proto_expert_info(wrong.extended)
		return {"malformed"}
	end
	return words, rest
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
	local said, own = extended(tvb, pinfo, node, at, size, frame)
	if said then
		payload_len = own
	elseif payload_len > 0 then
		node:add(f.payload, tvb(payload_at, payload_len))
	end

	local words = {}
	table.insert(words, commands[frame.cmd] or string.format("cmd 0x%02X", frame.cmd))
	for _, word in ipairs(said or {}) do
		table.insert(words, word)
	end
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
	if payload_len then
		table.insert(words, payload_len == 1 and "1 byte" or payload_len .. " bytes")
	end
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
