package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

// backendOptions are the flags of a backend's process.
type backendOptions struct {
	listen   string
	journal  string // file
	extended bool
	answer   bool // each message with one to its device
	size     int  // of the answer's payload
}

// runBackend is a backend in a process of its own, until it is killed.
func runBackend(ctx context.Context, args []string) error {
	var o backendOptions
	flags := flag.NewFlagSet("backend", flag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", "", "address to listen on")
	flags.StringVar(&o.journal, "journal", "", "file to write what was received to; backends may share one")
	flags.BoolVar(&o.extended, "extended", false, "speak the extended protocol")
	flags.BoolVar(&o.answer, "answer", false, "send each device a message for each of its own")
	flags.IntVar(&o.size, "size", 64, "bytes of a message's payload")
	if err := flags.Parse(args); err != nil {
		return err
	}
	j, err := openJournal(o.journal)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			if err := o.serve(nc, j); !isEnd(err) {
				fmt.Fprintf(os.Stderr, "backend %s: %v\n", o.listen, err)
			}
		}()
	}
}

// serve lives one connection, and returns why it ended.
func (o *backendOptions) serve(nc net.Conn, j *journal) error {
	if o.extended {
		return (&extended{stream: newStream(nc, false), journal: j, backendOptions: o}).serve()
	}
	return (&plain{stream: newStream(nc, true), journal: j, backendOptions: o}).serve()
}

// plain is a connection to a backend that knows nothing of sessions: an application as there are many.
type plain struct {
	*stream
	*backendOptions
	journal *journal
	batch   []record
}

func (p *plain) serve() error {
	for {
		f, err := p.next(0)
		if err != nil {
			return err
		}
		switch m, ok := parseMessage(f.payload); {
		case f.cmd == cmdPing:
			p.put(frame{cmd: cmdPong, flag: flagRsp, payload: f.payload})
		case f.cmd < cmdApp:
			return fmt.Errorf("command 0x%02X at a plain backend", f.cmd)
		case !ok:
			return fmt.Errorf("a payload of %d bytes that is no message", len(f.payload))
		case f.flag != 0:
			return fmt.Errorf("flag 0x%02X at a plain backend: the message was sent with 0", f.flag)
		default:
			p.batch = append(p.batch, record{kind: recordMessage, message: m, at: time.Now().UnixNano()})
			if p.answer {
				m.down = true
				p.put(frame{cmd: cmdApp, payload: m.append(nil, p.size)})
			}
		}
		if p.more() {
			continue
		}
		if len(p.batch) > 0 {
			if err := p.journal.add(p.batch); err != nil { // before the PONG behind it, which proves it to the gateway
				return err
			}
			p.batch = p.batch[:0]
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
}
