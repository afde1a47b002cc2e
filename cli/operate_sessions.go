package cli

import (
	"context"
	"fmt"
	"math"
	"net/url"

	"github.com/spf13/cobra"
)

func sessionsCommand() *cobra.Command {
	a := sessionsArgs{limit: 100}
	var args []string
	cmd := &cobra.Command{
		Use:   "sessions [ID [end]] [filters] [--limit N] [--json] [--address ADDR | --config FILE]",
		Short: "Lists the sessions of a gateway that runs, shows one, or ends it",
		Long: `
Lists the sessions that a running Caddy has or finds in its stores, by handler and client;
all filters must hold. With an ID, shows that one; with ` + "`end`" + `, closes its client and
forgets its messages.`,
		Example: "  caddy gopr sessions --state parked\n  caddy gopr sessions --client thermometer-17\n" +
			"  caddy gopr sessions 3f0c9a5d1e7b42868d90aa1f6c2be754 end",
	}
	read := ownFlags(cmd, "sessions", []struct{ flag, what string }{
		{"handler", "of this handler"},
		{"client", "of the client with this id"},
		{"state", "in this state: attached, parked, orphan, away"},
	})
	runsMany(cmd, &args, 2, func(ctx context.Context, std stdio) (int, error) {
		a.filter = read()
		a.id, a.verb = first(args), first(rest(args))
		if a.id != "" && len(a.filter) > 0 {
			return exitUsage, fmt.Errorf("an id, %s, and filters: give one or the other", a.id)
		}
		return sessions(ctx, a, std)
	})
	cmd.Flags().Var(number[int]{to: &a.limit, min: 0, max: math.MaxInt32}, "limit", "list at most so many; 0: all")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one session a line, as the admin API has it")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

func messagesCommand() *cobra.Command {
	a := messagesArgs{limit: 100}
	var args []string
	cmd := &cobra.Command{
		Use:   "messages [ID requeue|drop] [filters] [--limit N] [--json] [--address ADDR | --config FILE]",
		Short: "Lists the messages that a gateway keeps, and delivers failed ones again",
		Long: `
Lists the messages that a running Caddy keeps until they are delivered, without their
payloads; all filters must hold. With an ID, has a failed message delivered again
(requeue), or forgets one (drop).`,
		Example: "  caddy gopr messages --state failed\n" +
			"  caddy gopr messages 3f0c9a5d1e7b42868d90aa1f6c2be754-down-17 requeue",
	}
	read := ownFlags(cmd, "messages", []struct{ flag, what string }{
		{"handler", "of this handler"},
		{"session", "of the session with this id"},
		{"direction", "that go this way: up, to the backend; down, to the client"},
		{"state", "in this state: queued, acknowledged, failed"},
	})
	runsMany(cmd, &args, 2, func(ctx context.Context, std stdio) (int, error) {
		a.filter = read()
		a.id, a.verb = first(args), first(rest(args))
		if a.id != "" && len(a.filter) > 0 {
			return exitUsage, fmt.Errorf("an id, %s, and filters: give one or the other", a.id)
		}
		return messages(ctx, a, std)
	})
	cmd.Flags().Var(number[int]{to: &a.limit, min: 0, max: math.MaxInt32}, "limit", "list at most so many; 0: all")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one message a line, as the admin API has it")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

// ownFlags gives a command flags that are parameters of the admin API, which judges their values. What it returns reads those that were set.
func ownFlags(cmd *cobra.Command, of string, flags []struct{ flag, what string }) (read func() url.Values) {
	for _, f := range flags {
		cmd.Flags().String(f.flag, "", of+" "+f.what)
	}
	return func() url.Values {
		set := url.Values{}
		for _, f := range flags {
			if flag := cmd.Flags().Lookup(f.flag); flag.Changed {
				set.Set(f.flag, flag.Value.String())
			}
		}
		return set
	}
}

// first returns the first argument; "": there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// rest returns the arguments behind it.
func rest(args []string) []string { return args[min(1, len(args)):] }
