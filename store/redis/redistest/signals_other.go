//go:build !unix

package redistest

import "os"

var stopSignal, continueSignal os.Signal
