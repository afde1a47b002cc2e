package client

// SessionStatus is a Client's session at one moment. What counts, counts since the Client was made.
type SessionStatus struct {
	// Resumed says whether the connection, or the last one, took up a session that was there, rather than beginning one.
	Resumed bool
	// Begun and Resumes count the connections that began a session, and those that resumed one.
	Begun, Resumes uint64
	// Queued is how many published messages are in the queue, and Inflight how many of these were sent and not acknowledged.
	Queued, Inflight int
	// Repeated counts the messages that were sent more than once.
	Repeated uint64
	// Unsure counts the messages that were sent in one session and, as that was lost, again in the next: they may have arrived twice, whatever their QoS.
	Unsure uint64
	// Undone is how many messages came, and are not acknowledged as OnMessage, or Ack, is not done with them.
	Undone int
	// Dropped counts the messages of QoS 0 for which OnMessage had no time.
	Dropped uint64
	// QueueErr is why the queue, when it was last written to, took nothing. nil: it works.
	QueueErr error
}

func (s *session) status() SessionStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Queued = s.up.info.Messages - s.up.info.Failed
	st.Inflight = len(s.flights)
	st.Undone = len(s.arrivals)
	st.QueueErr = s.up.err
	if st.QueueErr == nil {
		st.QueueErr = s.down.err
	}
	return st
}
