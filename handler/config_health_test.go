package handler

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// Each option arrives where it belongs.
func TestHealthOptions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines string
		want  upstream.Config // as far as it is about health
	}{
		{"none", "", upstream.Config{}},
		{"bare", "health\noutlier\nprobe", upstream.Config{Health: new(health.Settings), Outlier: new(upstream.Outlier), Probe: new(upstream.Probe)}},
		{
			"all", `backup 10.0.9.1:9000 10.0.9.2:9000
				backup_rate 60/1m 10
				health {
					rtt_threshold 50ms
					window 20s
					sample 1s
					weights 2 1 1
					threshold 70
					hysteresis 0
					failures 4
					decay 1m
				}
				outlier {
					failures 5
					base 10s
					max 1m
					share 30%
				}
				probe 3s {
					fall 2
					rise 1
				}
				panic 40%
				slow_start 30s`,
			upstream.Config{
				Backups: []string{"10.0.9.1:9000", "10.0.9.2:9000"}, BackupRate: 1, BackupBurst: 10,
				Health: &health.Settings{
					RTTThreshold: 50 * time.Millisecond, Window: 20 * time.Second, Sample: time.Second, Weights: health.Weights{RTT: 2, Failures: 1, TLS: 1},
					Threshold: 70, Hysteresis: -1, Failures: 4, Decay: time.Minute,
				},
				Outlier:   &upstream.Outlier{Failures: 5, Base: 10 * time.Second, Max: time.Minute, Share: 0.3},
				Probe:     &upstream.Probe{Interval: 3 * time.Second, Fall: 2, Rise: 1},
				Panic:     0.4,
				SlowStart: 30 * time.Second,
			},
		},
		{"panic off", "panic off", upstream.Config{Panic: -1}},
		{"a share as a number", "panic 0.25", upstream.Config{Panic: 0.25}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := compiled(t, parse(t, choosing(strings.Split(tt.lines, "\n")...))).upstream.cfg
			got := upstream.Config{
				Backups: cfg.Backups, BackupRate: cfg.BackupRate, BackupBurst: cfg.BackupBurst, Health: cfg.Health, Outlier: cfg.Outlier, Probe: cfg.Probe,
				Panic: cfg.Panic, SlowStart: cfg.SlowStart,
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// What is wrong, and what would be right.
func TestHealthMistakes(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"backup", "backup has 0 arguments: write it as `backup 10.0.9.1:9000`"},
		{"backup 10.0.9.1", "backup: backend \"10.0.9.1\" is no address: write it as host:port"},
		{"backup 10.0.0.1:9000", "backup 10.0.0.1:9000 is a backend, too: name it in one place"},
		{"backup 10.0.9.1:9000 10.0.9.1:9000", "10.0.9.1:9000 is named twice: name it once"},
		{"backup_rate 100/s", "backup_rate 100/s has no meaning without a backup"},
		{"backup 10.0.9.1:9000\nbackup_rate 100", "\"100\" does not say in which time: write it as `backup_rate 100/s`"},
		{"backup 10.0.9.1:9000\nbackup_rate 0/s", "backup_rate: an amount of 0"},
		{"health 5", "health takes a block, not \"5\""},
		{"health {\nrtt 5ms\n}", "health has no option \"rtt\"; it has decay, failures, hysteresis, rtt_threshold"},
		{"health {\nrtt_threshold fast\n}", "rtt_threshold: \"fast\" is no duration: write it as `rtt_threshold 100ms`"},
		{"health {\nweights 1 2\n}", "weights has 2 arguments: write it as `weights 40 35 25`"},
		{"health {\nweights 0 0 0\n}", "health weights 0 0 0 leave no score: give three numbers from 0 up"},
		{"health {\nthreshold 101\n}", "health threshold 101 is not a score"},
		{"health {\nsample 1ms\n}", "health sample 1ms is too short: give 50ms or more, such as 500ms"},
		{"outlier {\nshare 150%\n}", "share: \"150%\" is no share such as 50%, above 0% and up to 100%: write it as `share 50%`"},
		{"outlier {\nbase 1h\nmax 1m\n}", "outlier max 1m0s is shorter than base 1h0m0s"},
		{"probe 1ms", "probe 1ms is too often: give 100ms or more, such as 10s"},
		{"probe often", "probe: \"often\" is no duration: write it as `probe 10s`"},
		{"probe 10s 3", "probe has no argument \"3\": write it as `probe 10s`"},
		{"panic never", "panic: \"never\" is no share such as 50%"},
		{"slow_start", "slow_start has 0 arguments: write it as `slow_start 30s`"},
	} {
		err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(choosing(strings.Split(tt.lines, "\n")...)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v does not say %q", tt.lines, err, tt.want)
		}
	}
}
