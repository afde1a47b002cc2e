package authenticate

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

var no = gateway.ErrNotAuthorized

// cheapArgon is a hash of "x".
const cheapArgon = "$argon2id$v=19$m=64,t=1,p=1$mtPCZFHCHgap95StXH7tAw$9yqkdq72OIHIxKNNkomNUNVvt9zCHP2cxtIsnpp+igQ"

func TestStatic(t *testing.T) {
	name := write(t, "a:"+bcryptOf(t, "one")+"\nb:"+cheapArgon+"\nempty:"+bcryptOf(t, "")+"\n")
	t.Setenv("DEVICES", name)
	s := mustLoad(t, "static", "static {env.DEVICES} {\ncache 1m\n}")
	for range 2 { // the second time from memory, where it is a yes
		says(t, s, credentials("a", "one"), nil)
		says(t, s, credentials("b", "x"), nil)
		says(t, s, credentials("empty", ""), nil)
		says(t, s, credentials("a", "two"), no)
		says(t, s, credentials("a", ""), no)
		says(t, s, credentials("b", "one"), no)
		says(t, s, credentials("c", "one"), no)
		says(t, s, credentials("empty", "x"), no)
	}
}

// What was found good is known for a while without a look at the hash, and only while the file says the same.
func TestStaticRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := write(t, "a:"+bcryptOf(t, "one")+"\nb:"+bcryptOf(t, "two")+"\n")
		s := mustLoad(t, "static", "static "+name)
		says(t, s, credentials("a", "one"), nil)

		for range cap(hashing) {
			hashing <- struct{}{}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		says(t, s, credentials("a", "one"), nil)
		if err := s.Authenticate(gone, credentials("b", "two")); !errors.Is(err, context.Canceled) || errors.Is(err, no) {
			t.Errorf("with all slots taken: %v", err)
		}
		time.Sleep(defaultStaticCache)
		if err := s.Authenticate(gone, credentials("a", "one")); !errors.Is(err, context.Canceled) {
			t.Errorf("after its time: %v", err)
		}
		for range cap(hashing) {
			<-hashing
		}

		says(t, s, credentials("a", "one"), nil)
		rewrite(t, name, "a:"+bcryptOf(t, "three")+"\n")
		time.Sleep(lookEvery)
		says(t, s, credentials("a", "one"), no)
		says(t, s, credentials("a", "three"), nil)
		says(t, s, credentials("b", "two"), no)
	})
}

// A file that changes is read again; one that can't be used changes nothing.
func TestStaticRereads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := "a:"+bcryptOf(t, "one")+"\n", "bb:"+bcryptOf(t, "two")+"\n"
		name := write(t, a)
		s := mustLoad(t, "static", "static "+name)
		knows := func(what string, ids ...string) {
			t.Helper()
			var got []string
			for id, secret := range map[string]string{"a": "one", "bb": "two"} {
				if s.Authenticate(t.Context(), credentials(id, secret)) == nil {
					got = append(got, id)
				}
			}
			if len(got) != len(ids) || !strings.Contains(strings.Join(got, " "), strings.Join(ids, " ")) && len(ids) < 2 {
				t.Errorf("%s: it knows %q, not %q", what, got, ids)
			}
		}
		knows("at first", "a")
		rewrite(t, name, a+b)
		knows("before it is looked at", "a")
		time.Sleep(lookEvery)
		knows("more", "a", "bb")
		rewrite(t, name, b+"broken\n")
		time.Sleep(lookEvery)
		knows("broken", "a", "bb")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		knows("gone", "a", "bb")
		rewrite(t, name, b)
		time.Sleep(lookEvery)
		knows("mended", "bb")
	})
}

// Many say HELLO while the file is read again and again: each is answered by one file or the other.
func TestStaticUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := "a:" + bcryptOf(t, "one") + "\n"
		name := write(t, line)
		s := mustLoad(t, "static", "static "+name+" {\ncache 0\n}")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					says(t, s, credentials("a", "one"), nil)
					says(t, s, credentials("b", "one"), no)
					time.Sleep(lookEvery)
				}
			})
		}
		for i := range 5 {
			rewrite(t, name, line+strings.Repeat("#", i)+"\n")
			time.Sleep(lookEvery)
		}
		wg.Wait()
	})
}

func TestStaticThatCannotBe(t *testing.T) {
	broken := write(t, "a:secret\n")
	for _, tt := range []struct{ segment, says string }{
		{"static", "write it as `authenticate static /etc/caddy/devices`"},
		{"static a b", "has 2 arguments"},
		{"static " + broken, "line 1"},
		{"static /nowhere/devices", "no such file"},
		{"static {env.GOPR_NOT_SET}", "GOPR_NOT_SET"},
		{"static " + broken + " {\ncache soon\n}", "no duration"},
		{"static " + broken + " {\ncash 5m\n}", `no option "cash"`},
	} {
		if _, err := load(t, "static", tt.segment); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, not %q", tt.segment, err, tt.says)
		}
	}
}
