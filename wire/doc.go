// Package wire reads and writes length-framed binary protocols, first of all
// GOPR, the protocol that docs/protocol.md states. It does no I/O and keeps no
// state: encoders append to a slice, the decoder cuts a slice into frames.
//
//   - protocol.go: the GOPR protocol as one table of constants
//   - encode.go, ping.go: AppendHeader, AppendFrame, AppendPing
//   - hello.go, welcome.go, ack.go, goaway.go, errorframe.go: what the peers of an extended connection say to each other;
//     control.go: CheckControl, which looks at any of it
//   - ext.go: Ext, ParseExt and AppendExt, the application's frames there
//   - decoder.go: Frame, Decoder.Next and Decoder.Header; resync.go: Decoder.Resync
//   - rules.go: Rules, what a receiver accepts beyond the format; NewDecoder
//   - command.go, commandset.go: CommandRange and CommandSet, the allow-list
//   - reject.go: Reason and RejectError, why a stream is refused and at which byte
//
// Any other protocol whose frames say their length is declared:
//
//   - layout.go: Layout, the declaration; checksum.go, heartbeat.go, match.go: its parts
//   - declare.go and declare_*.go: NewFormat, which refuses what cannot be
//   - builtin.go: the formats that need no declaration, GOPR among them; Lookup
//   - format.go: Format and Format.Append; pairing.go: Asks, Answers, ID
//   - table.go, field.go: a declaration with its sums done
//   - compile.go, compiled.go: a declaration as the fewest checks
//
// Payloads have types by a Codec: codec.go, and a codec_*.go for each kind.
//
// For peers that run Netty there are its LengthFieldBasedFrameDecoder and
// LengthFieldPrepender, in length_field_*.go.
//
// The decoder has three paths. The straight path knows GOPR's ten bytes by heart,
// the compiled path is the same for a declared format, and both do nothing but
// accept; what they do not accept at once (half a header, a wrong frame) goes to
// the layout path, which reads any format by its table of fields and alone knows
// the order of the checks. Tests and fuzzing hold the three to the same answers.
//
// The verdict on a stream never depends on how the stream was split into
// pieces: each check waits for the bytes that decide it and all it reports.
//
// The vectors in testdata are plain JSON for implementations in any language;
// testdata/README.md says how to read them.
package wire
