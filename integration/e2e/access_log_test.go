package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccessLog: every connection of the handler that has it switched on, and of no other, has a line in the file that the logger gopr.access is sent to, and not
// elsewhere; also in a storm.
func TestAccessLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	conf := strings.Replace(config(`
		${logged} {
			route {
				gopr logged {
					access_log
					commands 0x10-0x1F
					respond echo
				}
			}
		}
		${silent} {
			route {
				gopr silent {
					respond echo
				}
			}
		}`), "\tlog {\n", "\tlog access {\n\t\tinclude gopr.access\n\t\toutput file "+file+"\n\t}\n\tlog default {\n\t\texclude gopr.access\n", 1)
	c := start(t, conf, nil)

	const storm = 50
	for range storm {
		d := dial(t, c.addr("logged"))
		check(t, d.ask("hello"))
		check(t, d.Close())
	}
	d := dial(t, c.addr("logged"))
	check(t, d.send([]byte("GET / HTTP/1.1\r\n\r\n")))
	check(t, d.ended())
	d = dial(t, c.addr("silent"))
	check(t, d.ask("hello"))
	check(t, d.Close())
	c.closed("logged", "eof", storm)
	c.closed("logged", "magic", 1)
	c.closed("silent", "eof", 1)

	type access struct {
		Level, Logger, Msg, Handler, ID, Remote, Local, Reason, Error string

		Duration  float64
		FramesIn  int `json:"frames_in"`
		FramesOut int `json:"frames_out"`
		BytesIn   int `json:"bytes_in"`
		BytesOut  int `json:"bytes_out"`
	}
	var all []access
	eventually(t, "a line for each connection", func() bool {
		all = nil
		b, err := os.ReadFile(file)
		check(t, err)
		for s := range strings.Lines(string(b)) {
			var a access
			if strings.HasSuffix(s, "\n") {
				check(t, json.Unmarshal([]byte(s), &a))
				all = append(all, a)
			}
		}
		return len(all) >= storm+1
	})
	reasons := make(map[string]int)
	ids := make(map[string]bool)
	for _, a := range all {
		reasons[a.Reason]++
		ids[a.ID] = true
		if a.Level != "info" || a.Logger != "gopr.access" || a.Msg != "connection" || a.Handler != "logged" || a.Local != c.addr("logged") || a.Duration <= 0 {
			t.Errorf("%+v", a)
		}
		if n := len(request([]byte("hello"))); a.Reason == "eof" && (a.FramesIn != 1 || a.FramesOut != 1 || a.BytesIn != n || a.BytesOut != n || a.Error != "") {
			t.Errorf("%+v, want 1 frame of %d bytes each way", a, n)
		}
		if a.Reason == "magic" && !strings.Contains(a.Error, "wrong magic") {
			t.Errorf("%+v", a)
		}
	}
	if reasons["eof"] != storm || reasons["magic"] != 1 || len(all) != storm+1 || len(ids) != len(all) {
		t.Errorf("%d lines of %d connections, for the reasons %v", len(all), len(ids), reasons)
	}
	if c.log.contains(`"gopr.access"`) {
		t.Error("the default log has a line of the access log")
	}
}
