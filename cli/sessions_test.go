package cli

import (
	"strings"
	"testing"
	"time"
)

const sessionID = "3f0c9a5d1e7b42868d90aa1f6c2be754"

func sessionAnswer(now time.Time) string {
	at := func(d time.Duration) string { return now.Add(-d).UTC().Format(time.RFC3339Nano) }
	return `{"id":"` + sessionID + `","handler":"devices","client":"thermometer-17","state":"attached","owner":"gw1-0a0b0c","fence":3,"since":"` + at(90*time.Second) +
		`","seen":"` + at(time.Hour) + `","expiry_seconds":86400,"remote":"10.1.2.3:51234","backend":"10.0.0.1:9000",` +
		`"up":{"messages":0,"failed":0,"bytes":0},"down":{"messages":5,"failed":2,"bytes":2048,"oldest":"` + at(3*time.Hour) + `"},"in_flight":3,"unproved":4,"requests":1}`
}

func TestSessionsCommand(t *testing.T) {
	one := sessionAnswer(time.Now())
	api, addr := startAdmin(t, map[string]string{
		"GET /gopr/sessions":                            `{"sessions":[` + one + `,{"id":"` + strings.Repeat("0", 32) + `","handler":"devices","client":"0xff","state":"away","owner":"gw2-0d0e0f"}],"next":"n1"}`,
		"GET /gopr/sessions?cursor=n1&limit=1000":       `{"sessions":[` + one + `]}`,
		"GET /gopr/sessions/" + sessionID:               one,
		"DELETE /gopr/sessions/" + sessionID:            `{"ended":1}`,
		"GET /gopr/sessions/" + strings.Repeat("1", 32): `{"error":"there is no session"}`,
	})
	out, errs, err := runCommand("", "sessions", "--address", addr, "--handler", "devices", "--state", "attached", "--limit", "2")
	want := `ID                                HANDLER  CLIENT          STATE     AGE    SEEN  UP  DOWN         IN FLIGHT  UNPROVED  REMOTE          BACKEND        OWNER
` + sessionID + `  devices  thermometer-17  attached  1m30s  1h0m  0   5, 2 failed  3          4         10.1.2.3:51234  10.0.0.1:9000  gw1-0a0b0c
00000000000000000000000000000000  devices  0xff            away      -      -     -   -            0          0         -               -              gw2-0d0e0f
`
	if out != want || err != nil || !strings.Contains(errs, "2 sessions; there are more") {
		t.Errorf("%v %s\n%s\nwant\n%s", err, errs, out, want)
	}
	if asked := api.took(); len(asked) != 1 || asked[0] != "GET /gopr/sessions?handler=devices&limit=2&state=attached" {
		t.Errorf("asked %q", asked)
	}
	if out, errs, err = runCommand("", "sessions", "--address", addr, "--limit", "0"); err != nil || errs != "" || strings.Count(out, sessionID) != 2 || strings.Count(out, "\n") != 4 {
		t.Errorf("all: %v %s\n%s", err, errs, out)
	}
	api.took()
	out, _, err = runCommand("", "sessions", sessionID, "--address", addr)
	if err != nil || !strings.Contains(out, "owner      gw1-0a0b0c, in hand 3\n") || !strings.Contains(out, "down       5, 2 failed, 2 KiB, the oldest 3h0m\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = runCommand("", "sessions", sessionID, "--json", "--address", addr); err != nil || strings.TrimSpace(out) != one {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = runCommand("", "sessions", sessionID, "end", "--address", addr); err != nil || out != "ended 1 session\n" {
		t.Errorf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{strings.Repeat("1", 32)}, "there is no session"},
		{[]string{sessionID, "start"}, `there is no verb "start" for sessions: end`},
		{[]string{sessionID, "--state", "away"}, "give one or the other"},
		{[]string{sessionID, "end", "now"}, "one argument too many"},
		{[]string{"--limit", "-1"}, "limit"},
	} {
		if _, errs, err := runCommand("", append([]string{"sessions", "--address", addr}, tt.args...)...); err == nil || !strings.Contains(errs+err.Error(), tt.says) {
			t.Errorf("%q: %v %s", tt.args, err, errs)
		}
	}
}

func TestMessagesCommand(t *testing.T) {
	now := time.Now()
	const id = sessionID + "-down-17"
	one := `{"id":"` + id + `","handler":"devices","session":"` + sessionID + `","direction":"down","message":17,"cmd":16,"flag":1,"qos":2,"state":"failed","retries":3,"bytes":12,` +
		`"created":"` + now.Add(-time.Minute).UTC().Format(time.RFC3339Nano) + `"}`
	api, addr := startAdmin(t, map[string]string{
		"GET /gopr/messages":                     `{"messages":[` + one + `]}`,
		"POST /gopr/messages/" + id + "/requeue": `{"message":"` + id + `","done":"requeue"}`,
		"POST /gopr/messages/" + id + "/read":    `{"error":"no verb \"read\" for messages: requeue or drop"}`,
	})
	out, errs, err := runCommand("", "messages", "--address", addr, "--state", "failed", "--direction", "down", "--session", sessionID)
	want := `ID                                        HANDLER  STATE   QOS  CMD   FLAG  BYTES  RETRIES  AGE   EXPIRES IN
` + id + `  devices  failed  2    0x10  0x01  12     3        1m0s  -
`
	if out != want || err != nil || errs != "" {
		t.Errorf("%v %s\n%s\nwant\n%s", err, errs, out, want)
	}
	if asked := api.took(); len(asked) != 1 || asked[0] != "GET /gopr/messages?direction=down&limit=100&session="+sessionID+"&state=failed" {
		t.Errorf("asked %q", asked)
	}
	if out, _, err = runCommand("", "messages", "--json", "--address", addr); err != nil || strings.TrimSpace(out) != one {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = runCommand("", "messages", id, "requeue", "--address", addr); err != nil || out != "requeue: "+id+"\n" {
		t.Errorf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{id}, "requeue or drop"},
		{[]string{id, "read"}, `no verb "read"`},
		{[]string{id, "drop", "--state", "failed"}, "give one or the other"},
	} {
		if _, errs, err := runCommand("", append([]string{"messages", "--address", addr}, tt.args...)...); err == nil || !strings.Contains(errs+err.Error(), tt.says) {
			t.Errorf("%q: %v %s", tt.args, err, errs)
		}
	}
}
