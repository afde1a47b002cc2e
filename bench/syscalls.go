package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// countSyscalls measures each peer once more, with perf counting its system calls. It needs perf, and the right to use it.
func (f *fleet) countSyscalls(ctx context.Context, o options, s *suite, peers []*peer, into *series) error {
	perf, err := exec.LookPath("perf")
	if err != nil {
		return errors.New("perf is not installed (Debian: linux-perf)")
	}
	into.Syscalls = make(map[string]float64)
	for _, p := range peers {
		during := o.duration
		o.duration = during + time.Second // perf counts in the midst of it
		type loaded struct {
			sample
			err error
		}
		done := make(chan loaded, 1)
		go func() {
			m, err := f.load(ctx, o, s, into.scenario, p)
			done <- loaded{m, err}
		}()
		time.Sleep(during / 2)
		out, err := exec.CommandContext(ctx, perf, "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", strconv.Itoa(p.pid()), "--", "sleep", fmt.Sprint(during.Seconds()/2)).CombinedOutput()
		m := <-done
		o.duration = during
		if err := errors.Join(m.err, err); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		count, _, _ := strings.Cut(string(out), ",")
		n, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
		if err != nil {
			return fmt.Errorf("perf says %q", out)
		}
		into.Syscalls[p.name] = n / (m.FramesPerS * during.Seconds() / 2)
	}
	return nil
}
