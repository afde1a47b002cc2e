// Package health judges a backend by what happened and when. It has no clock, no goroutines and no I/O: the times come with each call, so the same course of events gets the same
// judgement, in a test, in the plot of docs/health.md, and in the gateway.
//
//	settings.go  what an operator sets
//	record.go    what is known of one backend: the score with its parts, and what follows from it
//	window.go    round trips of the last seconds, and how long 95 % of them took at most
//	decay.go     counts that fade
//	check.go     an active probe's fall and rise
//	ejection.go  an outlier that is put aside, longer each time
//	ramp.go      a backend that came back takes its share step by step
//	rate.go      so many in a second, and no more
package health
