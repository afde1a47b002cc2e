// Package qos is the bookkeeping of messages that must not be lost: who sends keeps a [Sender], who receives a [Receiver], for each session and direction. Neither does
// I/O, knows a payload or starts anything: what they are told of comes from the wire or a clock, and what they answer is for their owner to do. None is safe for use by
// several goroutines at once.
//
//	id.go        Next and Expand: ids are 64 bits wide, and the wire carries the lower 32
//	sender.go    Sender: what is in flight, and what an acknowledgement makes of it
//	due.go       Sender.Due: what is to be repeated or given up, and when
//	table.go     the messages in flight, in the order of their ids
//	receiver.go  Receiver: what is new, what came before
//
// docs/protocol.md, sections 6 and 7, has the rules.
package qos
