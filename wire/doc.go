// Package wire reads and writes length-framed binary protocols, first of all
// GOPR, the protocol that docs/protocol.md states. It does no I/O and keeps no
// state: encoders append to a slice, the decoder cuts a slice into frames.
//
//   - protocol.go: the GOPR protocol as one table of constants
//   - encode.go, ping.go: AppendHeader, AppendFrame, AppendPing
//   - format.go, layout.go: Format, how the frames of a protocol lie in a stream
//   - rules.go: Rules, what a receiver accepts beyond the format; NewDecoder
//   - decoder.go: Frame, Decoder.Next and Decoder.Header; resync.go: Decoder.Resync
//   - command.go, commandset.go: CommandRange and CommandSet, the allow-list
//   - reject.go: Reason and RejectError, why a stream is refused and at which byte
//
// The decoder has two paths. The straight path knows GOPR's ten bytes by heart
// and does nothing but accept; what it does not accept at once (half a header,
// a wrong frame, another format) goes to the layout path, which reads any
// format by its table of fields and alone knows the order of the checks. Tests
// and fuzzing hold the two to the same answers.
//
// The verdict on a stream never depends on how the stream was split into
// pieces: each check waits for the bytes that decide it and all it reports.
//
// The vectors in testdata are plain JSON for implementations in any language;
// testdata/README.md says how to read them.
package wire
