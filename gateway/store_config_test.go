package gateway

import (
	"strings"
	"testing"
)

func TestStorePlaces(t *testing.T) {
	t.Setenv("GOPR_TEST_STORE", "redis://user:secret@10.0.0.9:6379/2")
	app := new(App)
	for _, tt := range []struct {
		name    string
		store   *Store
		want    string // of the place
		mistake string
	}{
		{name: "none", want: "memory"},
		{name: "the memory", store: &Store{Kind: "memory"}, want: "memory"},
		{name: "a file", store: &Store{Kind: "sqlite", Path: "/var/lib/caddy/../gopr.db"}, want: "sqlite /var/lib/gopr.db"},
		{name: "no password is shown", store: &Store{Kind: "redis", URL: "{env.GOPR_TEST_STORE}"}, want: "redis redis://10.0.0.9:6379/2"},
		{name: "nor one of a sentinel", store: &Store{Kind: "redis", URL: "redis+sentinel://:p@a:1,b:2/main/0?sentinel_password=secret"}, want: "redis redis+sentinel://a:1,b:2/main/0"},
		{name: "a placeholder that is none", store: &Store{Kind: "sqlite", Path: "{env.GOPR_TEST_NONE}/x"}, mistake: "path of sqlite: "},
		{name: "no file", store: &Store{Kind: "sqlite"}, mistake: "sqlite needs the path of its file: write it as `store sqlite /var/lib/caddy/gopr.db`"},
		{name: "a file and a URL", store: &Store{Kind: "sqlite", Path: "x", URL: "y"}, mistake: "sqlite has a path and no URL"},
		{name: "the memory at a path", store: &Store{Path: "x"}, mistake: "the memory has neither path nor URL"},
		{name: "no URL", store: &Store{Kind: "redis"}, mistake: "redis needs its URL: write it as `store redis redis://10.0.0.9:6379/0`"},
		{name: "another URL", store: &Store{Kind: "redis", URL: "http://user:secret@10.0.0.9"}, mistake: `"http" is no scheme of a Redis`},
		{name: "another kind", store: &Store{Kind: "etcd"}, mistake: `unknown store "etcd": write it as`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := app.SessionPlace(tt.store)
			switch {
			case err != nil && strings.Contains(err.Error(), "secret"):
				t.Fatalf("%v: it has the password", err)
			case tt.mistake != "" && (err == nil || !strings.Contains(err.Error(), tt.mistake)):
				t.Errorf("got %v, want %s", err, tt.mistake)
			case tt.mistake == "" && (err != nil || p.String() != tt.want):
				t.Errorf("got %v and %v, want %s", p, err, tt.want)
			}
		})
	}
}

// TestStorePlacesOfTheApp: what the app says holds for who says nothing.
func TestStorePlacesOfTheApp(t *testing.T) {
	app := &App{Stores: Stores{Sessions: &Kept{&Store{Kind: "redis", URL: "redis://a"}}, Queue: &Kept{&Store{Kind: "sqlite", Path: "/x"}}}}
	sessions, err := app.SessionPlace(nil)
	if err != nil || sessions.String() != "redis redis://a/" {
		t.Errorf("sessions are in %v (%v)", sessions, err)
	}
	queue, err := app.QueuePlace(nil)
	if err != nil || queue.String() != "sqlite /x" {
		t.Errorf("messages are in %v (%v)", queue, err)
	}
	own, err := app.QueuePlace(new(Store))
	if err != nil || own.Durable() {
		t.Errorf("messages of its own are in %v (%v)", own, err)
	}
}

// TestRedisOfHandlers: handlers of one name share what others do not see, whatever their names have in them.
func TestRedisOfHandlers(t *testing.T) {
	for _, tt := range []struct{ at, handler, want string }{
		{"redis://a/0", "devices", "redis://a/0?prefix=gopr%3Adevices%3A"},
		{"redis+cluster://a:1,b:2?timeout=1s", "devices", "redis+cluster://a:1,b:2?prefix=gopr%3Adevices%3A&timeout=1s"},
		{"redis://a?prefix=mine-", "d{x}:y", "redis://a?prefix=mine-d%257Bx%257D%253Ay%3A"},
	} {
		got, err := redisFor(tt.at, tt.handler)
		if err != nil || got != tt.want {
			t.Errorf("%s of %s is %s (%v), want %s", tt.at, tt.handler, got, err, tt.want)
			continue
		}
		if err := checkRedis(got, true); err != nil {
			t.Error(err)
		}
	}
}

// TestOneFileOneHandler: two handlers that keep what they have in one file are refused, and told what would be right.
func TestOneFileOneHandler(t *testing.T) {
	file, other := Place{StoreSQLite, "/x"}, Place{StoreSQLite, "/y"}
	app := new(App)
	for _, tt := range []struct {
		handler string
		places  Places
		fails   bool
	}{
		{"a", Places{Sessions: file, Queue: file}, false},
		{"b", Places{Sessions: other, Queue: other}, false},
		{"c", Places{Queue: file}, true},
		{"d", Places{Sessions: file}, true},
		{"e", Places{Place{kind: StoreMemory}, Place{kind: StoreMemory}}, false},
		{"f", Places{Place{kind: StoreMemory}, Place{kind: StoreMemory}}, false},
	} {
		err := app.UseSessions(&Sessions{key: sessionsKey{tt.handler, tt.places}}, SessionRules{})
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v", tt.handler, err)
		}
		if err != nil && !strings.Contains(err.Error(), `both keep what they have in /`) {
			t.Error(err)
		}
	}
}
