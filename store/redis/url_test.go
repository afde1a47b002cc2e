package redis

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		url      string
		addrs    []string
		user     string
		password string
		db       int
		master   string
		cluster  bool
		tls      bool
		prefix   string
		timeout  time.Duration
		replicas int
	}{
		{url: "redis://10.0.0.9", addrs: []string{"10.0.0.9:6379"}},
		{url: "redis://10.0.0.9:6380/3", addrs: []string{"10.0.0.9:6380"}, db: 3},
		{url: "redis://[::1]:6380/", addrs: []string{"[::1]:6380"}},
		{url: "redis://[::1]", addrs: []string{"[::1]:6379"}},
		{url: "redis://:6380", addrs: []string{"localhost:6380"}},
		{url: "redis://u:p%40%2Fs@s@h/0", addrs: []string{"h:6379"}, user: "u", password: "p@/s@s"},
		{url: "redis://:secret@h", addrs: []string{"h:6379"}, password: "secret"},
		{url: "rediss://h:1/2?prefix=x:&timeout=500ms&replicas=1", addrs: []string{"h:1"}, db: 2, tls: true, prefix: "x:", timeout: 500 * time.Millisecond, replicas: 1},
		{url: "unix:///run/redis/redis.sock?db=4", addrs: []string{"/run/redis/redis.sock"}, db: 4},
		{url: "unix://:pw@/run/s", addrs: []string{"/run/s"}, password: "pw"},
		{url: "redis+sentinel://a,b:7/mymaster", addrs: []string{"a:26379", "b:7"}, master: "mymaster"},
		{url: "rediss+sentinel://u:p@a:1,b/m/5", addrs: []string{"a:1", "b:26379"}, user: "u", password: "p", master: "m", db: 5, tls: true},
		{url: "redis+cluster://a,b:7,[::2]:8", addrs: []string{"a:6379", "b:7", "[::2]:8"}, cluster: true},
	} {
		o, err := parse(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		c := o.client
		if !reflect.DeepEqual(c.Addrs, test.addrs) || c.Username != test.user || c.Password != test.password || c.DB != test.db || c.MasterName != test.master ||
			c.IsClusterMode != test.cluster || (c.TLSConfig != nil) != test.tls || o.replicas != test.replicas {
			t.Errorf("%s: %+v", test.url, c)
		}
		if test.prefix == "" {
			test.prefix = "gopr:"
		}
		if test.timeout == 0 {
			test.timeout = 3 * time.Second
		}
		if o.prefix != test.prefix || c.ReadTimeout != test.timeout || c.WriteTimeout != test.timeout {
			t.Errorf("%s: prefix %q, timeout %v", test.url, o.prefix, c.ReadTimeout)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                                      "want redis://",
		"10.0.0.9:6379":                         "want redis://",
		"http://:hunter2@h":                     `"http" is no scheme`,
		"redis://":                              "has no host",
		"redis://a:hunter2@":                    "has no host",
		"redis://a,b":                           "redis+cluster://",
		"redis://h:0":                           "1 to 65535",
		"redis://h:70000":                       "1 to 65535",
		"redis://u:hunter2/x@h/0":               "written as %2F",
		"redis://h/x":                           "is a number",
		"redis://h/-1":                          "is a number",
		"redis://u:hunter2%@h":                  "write it as %25",
		"redis://u:hunter2@h?x=1":               "there are prefix, timeout",
		"redis://u:hunter2@h?timeout=1":         "timeout=3s",
		"redis://h?timeout=0s":                  "from 100ms",
		"redis://h?pool=0":                      "1 to 10000",
		"redis://h?db=1":                        "stands in the path",
		"redis://h?prefix={a}":                  "braces",
		"redis://h?%zz":                         "can't be read",
		"redis://h?ca=/x":                       "rediss://",
		"rediss://h?ca=/does/not/exist":         "can't be read",
		"unix://run/redis":                      "unix:///run",
		"unix://":                               "unix:///run",
		"redis+sentinel://a,b":                  "the name of the master",
		"redis+sentinel://u:hunter2@a,b/":       "the name of the master",
		"redis+cluster://a,,b":                  "has no host",
		"redis+cluster://a/3":                   "no databases",
		"redis+cluster://:hunter2@a?replicas=1": "min-replicas-to-write",
	} {
		_, err := parse(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error has the password: %v", url, err)
		}
	}
}

func TestKey(t *testing.T) {
	r := &Redis{prefix: "gopr:"}
	for slot, want := range map[string]string{
		"meter-17":    "gopr:s:{meter-17}",
		"a:b/c.d_e":   "gopr:s:{a:b/c.d_e}",
		"{}":          "gopr:s:{%7B%7D}",
		"%7B":         "gopr:s:{%257B}",
		"\x00\xff ü'": "gopr:s:{%00%FF%20%C3%BC%27}",
		"":            "gopr:s:{}",
	} {
		key := r.Key("s", slot, "")
		if key != want {
			t.Errorf("%q has the key %s, want %s", slot, key, want)
		}
		if got, rest, ok := r.Slot("s", key); got != slot || rest != "" || !ok {
			t.Errorf("%s is the key of %q %q %v", key, got, rest, ok)
		}
	}
	if got, rest, ok := r.Slot("s", r.Key("s", "a}b", ":x")); got != "a}b" || rest != ":x" || !ok {
		t.Errorf("got %q %q %v", got, rest, ok)
	}
	for _, key := range []string{"other:s:{a}", "gopr:t:{a}", "gopr:s:{a", "gopr:s:{a%}", "gopr:s:{a%zz}"} {
		r.Slot("s", key) // whatever it is, it does no harm
	}
}
