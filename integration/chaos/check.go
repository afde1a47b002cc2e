package main

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// A tally is what became of the messages of one direction.
type tally struct {
	Sent         int `json:"sent"`
	Acknowledged int `json:"acknowledged"`
	Arrived      int `json:"arrived"`
	Lost         int `json:"lost"`          // acknowledged, and never arrived
	Doubled1     int `json:"doubled_qos1"`  // arrivals beyond the first
	Doubled2     int `json:"doubled_qos2"`  //
	Disordered   int `json:"disordered"`    // that arrived for the first time after one with a higher number
	Unknown      int `json:"never_sent"`    // that arrived, and were never sent
	Open         int `json:"not_acked_yet"` // that were sent, and neither acknowledged nor refused in the end
}

func (t *tally) add(o tally) {
	t.Sent += o.Sent
	t.Acknowledged += o.Acknowledged
	t.Arrived += o.Arrived
	t.Lost += o.Lost
	t.Doubled1 += o.Doubled1
	t.Doubled2 += o.Doubled2
	t.Disordered += o.Disordered
	t.Unknown += o.Unknown
	t.Open += o.Open
}

// A verdict is what the checker found, of all devices.
type verdict struct {
	Up      tally    `json:"up"`
	Down    tally    `json:"down"`
	Renewed int      `json:"sessions_lost"`
	Refused int      `json:"refused"`
	Notes   []string `json:"notes,omitempty"` // the first few of what is wrong, by device and number
}

func (v *verdict) note(format string, args ...any) {
	if len(v.Notes) < 20 {
		v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
	}
}

// An account is one direction of one device, as both of its ends have it.
type account struct {
	name    string
	sent    []uint8        // the QoS of the message i+1
	acked   func(int) bool // whether the message i+1 was acknowledged
	arrived []arrival
}

// check counts what is wrong with an account. It knows nothing of sessions, ids and gateways: only of numbers.
func (v *verdict) check(a account) (t tally) {
	t.Sent = len(a.sent)
	times := make([]int, len(a.sent))
	highest := uint32(0)
	for _, m := range a.arrived {
		t.Arrived++
		if m.number == 0 || int(m.number) > len(a.sent) || a.sent[m.number-1] != m.qos {
			t.Unknown++
			v.note("%s: number %d at QoS %d was never sent", a.name, m.number, m.qos)
			continue
		}
		if times[m.number-1]++; times[m.number-1] > 1 {
			if m.qos == 2 {
				t.Doubled2++
				v.note("%s: number %d came twice at QoS 2", a.name, m.number)
			} else {
				t.Doubled1++
			}
			continue
		}
		if m.number < highest {
			t.Disordered++
			v.note("%s: number %d came first after number %d", a.name, m.number, highest)
		}
		highest = max(highest, m.number)
	}
	for i, n := range times {
		switch acked := a.acked(i); {
		case acked:
			t.Acknowledged++
			if n == 0 {
				t.Lost++
				v.note("%s: number %d at QoS %d was acknowledged, and never came", a.name, i+1, a.sent[i])
			}
		default:
			t.Open++
		}
	}
	return t
}

// A history is what the backends' journals hold, by device.
type history struct {
	arrived  map[uint32][]arrival             // uplink, in the order of the journals
	answered map[uint32]map[uint32]bool       // the numbers of answers that the gateway has acknowledged
	messages map[sessionKey]map[uint32]uint32 // number by id
}

// readHistory reads journals. Those of one device must be in one journal, else their order is not known.
func readHistory(paths ...string) (*history, error) {
	h := &history{
		arrived:  make(map[uint32][]arrival),
		answered: make(map[uint32]map[uint32]bool),
		messages: make(map[sessionKey]map[uint32]uint32),
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		err = readRecords(f, h.add)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return h, nil
}

func (h *history) add(r record) {
	switch m := r.message; r.kind {
	case recordMessage:
		h.arrived[m.device] = append(h.arrived[m.device], arrival{number: m.number, qos: m.qos})
		numbers := h.messages[r.key]
		if numbers == nil {
			numbers = make(map[uint32]uint32)
			h.messages[r.key] = numbers
		}
		numbers[r.id] = m.number
	case recordReceived, recordCompleted:
		answered := h.answered[r.key.device]
		if answered == nil {
			answered = make(map[uint32]bool)
			h.answered[r.key.device] = answered
		}
		answered[h.messages[r.key][r.id]] = true
	}
}

// judge compares the devices' ledgers with the backends' journals.
func judge(ledgers []*ledger, h *history) (v verdict) {
	for _, l := range ledgers {
		l.mu.Lock()
		up := account{name: fmt.Sprintf("device %d, up", l.device), arrived: h.arrived[l.device]}
		for _, s := range l.sent {
			up.sent = append(up.sent, s.qos)
		}
		up.acked = func(i int) bool { return l.sent[i].acked != 0 }
		v.Up.add(v.check(up))
		if l.answers {
			// What a device was sent is the answers to what arrived: for each number one, or more where it arrived more than once.
			down := account{name: fmt.Sprintf("device %d, down", l.device), sent: up.sent, arrived: l.received}
			down.acked = func(i int) bool { return h.answered[l.device][uint32(i+1)] }
			t := v.check(down)
			t.Sent = len(h.arrived[l.device])
			if t.Open = 0; l.answersAcked {
				t.Open = max(0, t.Sent-t.Acknowledged)
			}
			v.Down.add(t)
		}
		v.Refused += l.refused
		v.Renewed += len(l.renewed)
		for _, at := range l.renewed {
			v.note("device %d was given a new session at %s", l.device, time.Unix(0, at).UTC().Format("15:04:05.000"))
		}
		l.mu.Unlock()
	}
	return v
}

// latencies returns how long acknowledgements took, sorted, of what was published within a time; 0 for one that has none.
func latencies(ledgers []*ledger, from, to time.Time) (acked []time.Duration, open int) {
	for _, l := range ledgers {
		l.mu.Lock()
		for _, s := range l.sent {
			switch {
			case s.at < from.UnixNano() || s.at >= to.UnixNano():
			case s.acked == 0:
				open++
			default:
				acked = append(acked, time.Duration(s.acked-s.at))
			}
		}
		l.mu.Unlock()
	}
	slices.Sort(acked)
	return acked, open
}

// percentile of what is sorted; 0 where there is nothing.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p))]
}

// recovery is how long after the end of the last fault it takes until, of all that is published from then on, 99.9 % are acknowledged within a second. ok is false where that
// never came before the end.
func recovery(ledgers []*ledger, healed, end time.Time) (after time.Duration, ok bool) {
	// The last second is left out: what was published in it may well be on its way.
	end = end.Add(-time.Second)
	for step := time.Duration(0); healed.Add(step).Before(end); step += 50 * time.Millisecond {
		acked, open := latencies(ledgers, healed.Add(step), end)
		quick, _ := slices.BinarySearch(acked, time.Second)
		if all := len(acked) + open; all > 0 && float64(quick) >= 0.999*float64(all) {
			return step, true
		}
	}
	return 0, false
}
