package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// A sdkDevice is the client SDK, as a device would use it; only that it is more impatient.
type sdkDevice struct {
	ledger *ledger
	client *client.Client
	conn   atomic.Pointer[leavable]
	lost   atomic.Pointer[error]
	acks   sync.WaitGroup
}

func newSDKDevice(l *ledger, dial dialer) *sdkDevice {
	d := &sdkDevice{ledger: l}
	c, err := client.New("gateway:0", client.Options{
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			conn := &leavable{Conn: nc}
			d.conn.Store(conn)
			return conn, nil
		},
		Heartbeat: keepalive.Heartbeat{Interval: time.Second, Timeout: time.Second},
		Reconnect: client.Reconnect{Initial: 50 * time.Millisecond, Max: 200 * time.Millisecond, Attempts: -1},
		OnState: func(c client.Change) {
			if c.Err != nil {
				d.lost.Store(&c.Err)
			}
			if c.To == client.Connected {
				d.connected(c.At)
			}
		},
		Session: &client.SessionOptions{
			ClientID:       clientID(l.device),
			Expiry:         time.Hour,
			WelcomeTimeout: 3 * time.Second,
			OnMessage: func(m client.Message) {
				if m, ok := parseMessage(m.Payload); ok {
					l.receive(m)
				}
			},
		},
	})
	if err != nil {
		panic(err) // the options are this file's own
	}
	d.client = c
	return d
}

func (d *sdkDevice) run(ctx context.Context) {
	_ = d.client.Run(ctx)
	_ = d.client.Close()
	d.acks.Wait()
}

// connected notes whether the session is still the first.
func (d *sdkDevice) connected(at time.Time) {
	if s := d.client.Status().Session; !s.Resumed && s.Begun > 1 {
		d.ledger.renew(at)
	}
}

func (d *sdkDevice) publish(qos uint8) {
	m := d.ledger.publish(qos, time.Now())
	payload := m.append(nil, 64)
	for {
		r, err := d.client.Enqueue(context.Background(), cmdApp, payload, qos)
		if errors.Is(err, client.ErrQueueFull) {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err != nil {
			return // it stays open in the ledger, and the checker says so
		}
		d.acks.Go(func() {
			<-r.Done()
			if r.Err() == nil {
				d.ledger.ack(m.number, time.Now())
			}
		})
		return
	}
}

func (d *sdkDevice) leave(takeover bool) {
	if c := d.conn.Load(); c != nil {
		c.leave(takeover)
	}
}

func (d *sdkDevice) book() *ledger { return d.ledger }

func (d *sdkDevice) status() status {
	now := d.client.Status()
	s := status{
		connected: now.State == client.Connected, hellos: int(now.Session.Begun + now.Session.Resumes),
	}
	if err := d.lost.Load(); err != nil {
		s.err = *err
	}
	return s
}

// A leavable connection can be left: to who uses it, it has broken.
type leavable struct {
	net.Conn
	left, open atomic.Bool // open: for a second, it stays so in truth
}

func (c *leavable) leave(takeover bool) {
	c.open.Store(takeover)
	c.left.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0))
}

func (c *leavable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *leavable) Close() error {
	if c.open.Load() {
		time.AfterFunc(time.Second, func() { _ = c.Conn.Close() })
		return nil
	}
	return c.Conn.Close()
}
