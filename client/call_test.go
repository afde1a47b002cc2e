package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// order and receipt are what the tests ask with and are answered with.
type (
	order struct {
		Item  uint32
		Count uint16
	}
	receipt struct {
		ID    uint64  `json:"id"`
		Price float64 `json:"price"`
	}
)

var orders = wire.MustFixed[order](wire.BigEndian)

// called is a Call of buy, in a goroutine of its own.
type called struct {
	receipt receipt
	err     error
	done    chan struct{}
}

func buy(ctx context.Context, c *Client) *called {
	a := &called{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.receipt, a.err = Call(ctx, c, 0x20, order{Item: 7, Count: 2}, orders, wire.JSON[receipt]{})
	}()
	synctest.Wait()
	return a
}

const orderPayload = "\x00\x00\x00\x07\x00\x02"

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		first, second := buy(t.Context(), c), buy(t.Context(), c)
		p.expect(0x20, wire.FlagReq, orderPayload)
		p.expect(0x20, wire.FlagReq, orderPayload)
		p.send(0x20, wire.FlagRsp, `{"id":1,"price":2.5}`)
		p.send(0x99, wire.FlagRsp, `{"id":2}`) // any command answers, and nothing of the first is left
		<-first.done
		<-second.done
		if first.err != nil || first.receipt != (receipt{1, 2.5}) {
			t.Errorf("first: %v, %v", first.receipt, first.err)
		}
		if second.err != nil || second.receipt != (receipt{ID: 2}) {
			t.Errorf("second: %v, %v", second.receipt, second.err)
		}
	})
}

// Every codec is found by its argument alone, whatever its kind.
func TestCallInfersTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go p.serve() // answers are echoes
		if got, err := Call(t.Context(), c, 0x10, "text", wire.String{}, wire.Bytes{}); err != nil || string(got) != "text" {
			t.Errorf("string to bytes: %q, %v", got, err)
		}
		if got, err := Call(t.Context(), c, 0x10, struct{}{}, wire.Empty{}, wire.Empty{}); err != nil || got != (struct{}{}) {
			t.Errorf("empty: %v, %v", got, err)
		}
		at := time.Unix(1, 2).UTC()
		if got, err := Call(t.Context(), c, 0x10, at, wire.Binary[time.Time](), wire.Binary[time.Time]()); err != nil || got != at {
			t.Errorf("binary: %v, %v", got, err)
		}
		object := wire.JSON[map[string]any]{}
		if got, err := Call(t.Context(), c, 0x10, map[string]any{"a": 1.0}, object, object); err != nil || got["a"] != 1.0 {
			t.Errorf("JSON: %v, %v", got, err)
		}
	})
}

// An answer that the codec refuses is told apart from one that never came: it is there to look at.
func TestCallAnswerError(t *testing.T) {
	for _, tt := range []struct{ name, payload, want string }{
		{"empty", "", "answer of command 0x21 and 0 bytes: unexpected end of JSON input"},
		{"cut short", `{"id":1`, "answer of command 0x21 and 7 bytes: unexpected end of JSON input"},
		{"bytes behind it", `{"id":1}}`, "answer of command 0x21 and 9 bytes: invalid character '}' after top-level value"},
		{"half read", `{"id":1,"price":"much"}`, "cannot unmarshal string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := connect(t, Options{})
				a := buy(t.Context(), c)
				p.expect(0x20, wire.FlagReq, orderPayload)
				p.send(0x21, wire.FlagRsp, tt.payload)
				<-a.done
				var err *AnswerError
				if !errors.As(a.err, &err) || !strings.Contains(a.err.Error(), tt.want) {
					t.Fatalf("got %v, want %q", a.err, tt.want)
				}
				if err.Answer.Cmd != 0x21 || string(err.Answer.Payload) != tt.payload {
					t.Errorf("answer %+v", err.Answer)
				}
				if a.receipt != (receipt{}) {
					t.Errorf("returned %v with the error", a.receipt)
				}

				// The connection is none the worse for it.
				b := buy(t.Context(), c)
				p.expect(0x20, wire.FlagReq, orderPayload)
				p.send(0x20, wire.FlagRsp, `{"id":3}`)
				if <-b.done; b.err != nil || b.receipt.ID != 3 {
					t.Errorf("the next: %v, %v", b.receipt, b.err)
				}
			})
		})
	}
}

// What the codec says of the answer can be branched on.
func TestCallAnswerErrorUnwraps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go p.serve()
		_, err := Call(t.Context(), c, 0x10, "seven b", wire.String{}, orders)
		var size *wire.PayloadSizeError
		if !errors.As(err, &size) || *size != (wire.PayloadSizeError{Got: 7, Want: 6}) {
			t.Errorf("got %v", err)
		}
	})
}

// What cannot be marshalled, or is too long for a frame, is not sent.
func TestCallNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		_, err := Call(t.Context(), c, 0x20, math.NaN(), wire.JSON[float64]{}, wire.Empty{})
		var value *json.UnsupportedValueError
		if !errors.As(err, &value) || err.Error() != "not sent: json: unsupported value: NaN" {
			t.Errorf("NaN: %v", err)
		}
		_, err = Call(t.Context(), c, 0x20, make([]byte, wire.MaxPayload+1), wire.Bytes{}, wire.Empty{})
		var field *wire.FieldError
		if !errors.As(err, &field) || field.Value != wire.MaxPayload+1 {
			t.Errorf("too long: %v", err)
		}
		c.Close()
		if f, err := p.next(); err != io.EOF {
			t.Errorf("the peer got %v, %v, want nothing", f, err)
		}
	})
}

// The errors of Request come through as they are.
func TestCallRequestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := buy(ctx, c)
		p.expect(0x20, wire.FlagReq, orderPayload)
		<-late.done
		if want := "sent, no answer: context deadline exceeded"; !errors.Is(late.err, context.DeadlineExceeded) || late.err.Error() != want {
			t.Errorf("late: %v, want %q", late.err, want)
		}

		// The late answer is nobody's, whatever the codec would say of it.
		next := buy(t.Context(), c)
		p.expect(0x20, wire.FlagReq, orderPayload)
		p.send(0x20, wire.FlagRsp, "late, and no JSON")
		p.send(0x20, wire.FlagRsp, `{"id":2}`)
		if <-next.done; next.err != nil || next.receipt.ID != 2 {
			t.Errorf("next: %v, %v", next.receipt, next.err)
		}

		lost := buy(t.Context(), c)
		p.expect(0x20, wire.FlagReq, orderPayload)
		p.nc.Close()
		if <-lost.done; !errors.Is(lost.err, ErrLost) || lost.receipt != (receipt{}) {
			t.Errorf("lost: %v, %v", lost.receipt, lost.err)
		}

		c.Close()
		closed := buy(t.Context(), c)
		if <-closed.done; !errors.Is(closed.err, ErrNotConnected) {
			t.Errorf("closed: %v", closed.err)
		}
	})
}
