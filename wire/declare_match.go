package wire

import "fmt"

func (f *Format) declareMatches(l *Layout) error {
	for _, m := range []struct {
		name string
		in   *Match
		out  *predicate
	}{
		{"ping", &l.Heartbeat.Ping, &f.ping},
		{"asks", &l.Asks, &f.asks},
		{"answers", &l.Answers, &f.answers},
	} {
		if err := f.checkMatch(m.name, m.in); err != nil {
			return err
		}
		*m.out = m.in.compile()
	}
	return nil
}

// checkMatch refuses a test that no frame could pass.
func (f *Format) checkMatch(name string, m *Match) error {
	for _, b := range []struct {
		field string
		fd    *field
		test  *Bits
	}{
		{"version", &f.version, m.Version},
		{"cmd", &f.cmd, m.Cmd},
		{"flag", &f.flag, m.Flag},
	} {
		switch {
		case b.test == nil:
		case b.fd.size == 0:
			return fmt.Errorf("%s goes by %s, which the format has not", name, b.field)
		case !b.fd.fits(uint64(b.test.Value)):
			return fmt.Errorf("%s: %s 0x%02X does not fit its field: at most 0x%02X", name, b.field, b.test.Value, b.fd.max())
		case b.test.Value&^b.test.mask() != 0:
			return fmt.Errorf("%s: %s is never 0x%02X under the mask 0x%02X", name, b.field, b.test.Value, b.test.Mask)
		}
	}
	if m.From > FromServer {
		return fmt.Errorf("%s: direction %d: want AnyDirection, FromClient or FromServer", name, m.From)
	}
	if m.From != AnyDirection && f.answer == nil {
		return fmt.Errorf("%s goes by the magic, but requests and answers have the same", name)
	}
	if m.Commands != nil {
		ranges := m.Commands.Ranges()
		switch {
		case f.cmd.size == 0:
			return fmt.Errorf("%s goes by cmd, which the format has not", name)
		case len(ranges) == 0:
			return fmt.Errorf("%s: the set of commands is empty", name)
		case !f.cmd.fits(uint64(ranges[len(ranges)-1].First)):
			return fmt.Errorf("%s: cmd %v does not fit its field: at most 0x%02X", name, ranges[len(ranges)-1], f.cmd.max())
		}
	}
	if len(m.Payload) > f.maxPayload() {
		return fmt.Errorf("%s: a payload of %d bytes, but a frame carries at most %d", name, len(m.Payload), f.maxPayload())
	}
	return nil
}
