package authenticate

import (
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// lookEvery is how often a file that is in use is looked at.
const lookEvery = time.Second

// file is a file of devices that is read again when it has changed: when somebody is to be authenticated, and not more than once in lookEvery.
type file struct {
	name   string
	logger *zap.Logger

	reading sync.Mutex // held by who looks at the file; the others go by what was read before

	mu      sync.Mutex // guards all below
	devices *devices
	read    version // of the file, when devices was read
	failed  version // when it could not be used
	looked  time.Time
}

// version is what tells a file that has changed.
type version struct {
	size int64
	at   time.Time
}

func versionOf(name string) (v version) {
	if info, err := os.Stat(name); err == nil {
		v = version{info.Size(), info.ModTime()}
	}
	return v
}

// openFile reads a file for the first time.
func openFile(name string, logger *zap.Logger) (*file, error) {
	f := &file{name: name, logger: logger, looked: time.Now(), read: versionOf(name)} // before it is read: a change in between is one
	var err error
	f.devices, err = readDevices(name)
	return f, err
}

// current returns what the file has now, or had when it could last be used.
func (f *file) current() *devices {
	now := time.Now()
	if f.reading.TryLock() {
		defer f.reading.Unlock()
		f.mu.Lock()
		due := now.Sub(f.looked) >= lookEvery
		f.mu.Unlock()
		if due {
			f.look(now)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.devices
}

// look reads the file if it has changed. f.reading is held.
func (f *file) look(now time.Time) {
	v := versionOf(f.name)
	f.mu.Lock()
	f.looked = now
	changed, before := v != f.read, f.failed
	f.mu.Unlock()
	if !changed {
		return
	}
	d, err := readDevices(f.name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil { // it may be half written
		f.failed = v
		if v != before {
			f.logger.Warn("changed file of clients can't be used, what was read before still is", zap.Error(err))
		}
		return
	}
	f.devices, f.read, f.failed = d, v, version{}
	f.logger.Info("file of clients read again", zap.String("file", f.name), zap.Int("clients", len(d.all)))
}
