package gateway

import (
	"net"
	"time"

	"go.uber.org/zap"
)

// LogAccess writes the line of a connection that has ended to the access log, which is gopr.access: each connection has one, and none is kept back.
func (l *Live) LogAccess(i *Info, remote net.Addr, reason string, err error) {
	out := current.newest.Load()
	if out == nil || out.access == nil {
		return
	}
	line := out.access.Check(zap.InfoLevel, "connection")
	if line == nil {
		return
	}
	fields := []zap.Field{
		zap.String("handler", l.Name),
		zap.Stringer("id", i.ID),
		zap.Stringer("remote", remote),
		zap.Stringer("local", i.Local),
		zap.String("reason", reason),
		zap.Duration("duration", time.Since(i.Since)),
		zap.Uint64("frames_in", i.FramesIn),
		zap.Uint64("frames_out", i.FramesOut),
		zap.Uint64("bytes_in", i.BytesIn),
		zap.Uint64("bytes_out", i.BytesOut),
	}
	if i.TLSSubject != "" {
		fields = append(fields, zap.String("tls_subject", i.TLSSubject))
	}
	if i.Client != "" {
		fields = append(fields, zap.String("client", i.Client), zap.String("session", i.Session))
	}
	if i.RTT > 0 {
		fields = append(fields, zap.Duration("rtt", i.RTT))
	}
	if err != nil {
		fields = append(fields, zap.String("error", err.Error()))
	}
	line.Write(fields...)
}
