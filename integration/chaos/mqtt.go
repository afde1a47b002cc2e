package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Just enough of MQTT 3.1.1 to measure a broker: CONNECT, SUBSCRIBE, and PUBLISH at QoS 1 both ways.

type mqttConn struct {
	net.Conn
	r   *bufio.Reader
	out []byte
}

const (
	mqttConnect   = 0x10
	mqttConnack   = 0x20
	mqttPublish   = 0x30
	mqttPuback    = 0x40
	mqttSubscribe = 0x82
	mqttSuback    = 0x90
	mqttQoS1      = 0x02 // of a PUBLISH
)

// dialMQTT connects with a session that outlives the connection.
func dialMQTT(addr, client string) (*mqttConn, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	c := &mqttConn{Conn: nc, r: bufio.NewReaderSize(nc, 32<<10)}
	body := appendMQTTString(nil, "MQTT")
	body = append(body, 4, 0, 0, 0) // version 3.1.1; no flags, so the session stays; no keepalive
	c.put(mqttConnect, appendMQTTString(body, client))
	if err := c.expect(mqttConnack); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func appendMQTTString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// put adds a packet to what flush writes.
func (c *mqttConn) put(kind byte, body []byte) {
	c.out = append(c.out, kind)
	n := len(body)
	for ; n >= 128; n >>= 7 {
		c.out = append(c.out, byte(n)|0x80)
	}
	c.out = append(append(c.out, byte(n)), body...)
}

func (c *mqttConn) publish(topic string, id uint16, payload []byte) {
	body := binary.BigEndian.AppendUint16(appendMQTTString(nil, topic), id)
	c.put(mqttPublish|mqttQoS1, append(body, payload...))
}

func (c *mqttConn) flush() error {
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// next reads a packet.
func (c *mqttConn) next() (kind byte, body []byte, err error) {
	if kind, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.r) // the same encoding
	if err != nil {
		return 0, nil, err
	}
	if n > 1<<20 {
		return 0, nil, errors.New("an MQTT packet of more than 1 MiB")
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return kind, body, err
}

// expect flushes, and reads the one packet that must come.
func (c *mqttConn) expect(want byte) error {
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	kind, body, err := c.next()
	if err != nil {
		return err
	}
	if kind != want || want == mqttConnack && (len(body) != 2 || body[1] != 0) {
		return fmt.Errorf("the broker answers with packet 0x%02X %x, not 0x%02X", kind, body, want)
	}
	return c.SetReadDeadline(time.Time{})
}

// subscribe takes all that is published under a filter, at QoS 1.
func (c *mqttConn) subscribe(filter string) error {
	c.put(mqttSubscribe, append(appendMQTTString([]byte{0, 1}, filter), 1))
	return c.expect(mqttSuback)
}

// drain acknowledges all that comes, and counts it.
func (c *mqttConn) drain(count func()) error {
	for {
		kind, body, err := c.next()
		if err != nil {
			return err
		}
		if kind&0xF0 != mqttPublish {
			continue
		}
		if topic := 2 + int(binary.BigEndian.Uint16(body)); len(body) >= topic+2 {
			c.put(mqttPuback, body[topic:topic+2])
			count()
		}
		if c.r.Buffered() == 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
}
