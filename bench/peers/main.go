// Command peers answers GOPR PINGs with servers made with other frameworks, for bench. It is a module of its own, so that who uses the gateway does not download
// them.
//
//	peers gnet|zinx ADDR
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peers gnet|zinx ADDR")
		os.Exit(2)
	}
	free := make(chan os.Signal, 1)
	signal.Notify(free, syscall.SIGUSR2)
	go func() {
		for range free {
			debug.FreeOSMemory()
		}
	}()
	serve, ok := map[string]func(addr string) error{"gnet": serveGnet, "zinx": serveZinx}[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "no framework %q: gnet or zinx\n", os.Args[1])
		os.Exit(2)
	}
	if err := serve(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
