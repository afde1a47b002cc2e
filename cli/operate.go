package cli

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	var a statusArgs
	cmd := &cobra.Command{
		Use:   "status [--watch] [--interval T] [--json] [--address ADDR | --config FILE]",
		Short: "Shows the handlers, backends and rates of a gateway that runs",
		Long: `
Asks the admin endpoint of a running Caddy, and shows its gopr handlers with their rates
over --interval, and their upstreams. With --watch it goes on, as top(1) does, until
Ctrl-C.`,
		Example: "  caddy gopr status\n  caddy gopr status --watch --interval 5s\n  caddy gopr status --json --address unix//run/caddy.sock",
	}
	runs(cmd, nil, "", func(ctx context.Context, std stdio) (int, error) { return status(ctx, a, std) })
	cmd.Flags().BoolVarP(&a.watch, "watch", "w", false, "go on until Ctrl-C")
	cmd.Flags().DurationVarP(&a.interval, "interval", "i", time.Second, "what rates are measured over; 0: show none, and do not wait")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one object a line")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

func connectionsCommand() *cobra.Command {
	a := connectionsArgs{limit: 100}
	cmd := &cobra.Command{
		Use:   "connections [ID] [filters] [--closed] [--limit N] [--json] [--address ADDR | --config FILE]",
		Short: "Lists the connections of a gateway that runs, or shows one",
		Long: `
Lists the client connections of a running Caddy, the oldest first; all filters must hold.
With --closed, those of the last 10,000 that ended, the newest first. With an ID, shows
that one, with the headers of its last 32 frames.`,
		Example: "  caddy gopr connections --remote 10.1.0.0/16 --idle-for 10m\n" +
			"  caddy gopr connections 5f3a9c-1042\n" +
			"  caddy gopr connections --closed --reason idle_timeout --limit 0 --json",
	}
	read := filterFlags(cmd, struct{ flag, what string }{"reason", "that ended for this reason, with --closed"})
	runs(cmd, &a.id, "", func(ctx context.Context, std stdio) (int, error) {
		if a.filter = read(); a.id != "" && (len(a.filter) > 0 || a.closed) {
			return exitUsage, fmt.Errorf("an id, %s, and filters: give one or the other", a.id)
		}
		return connections(ctx, a, std)
	})
	cmd.Flags().BoolVar(&a.closed, "closed", false, "connections that have ended")
	cmd.Flags().Var(number[int]{to: &a.limit, max: math.MaxInt32}, "limit", "list at most so many; 0: all")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one connection a line, as the admin API has it")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

func killCommand() *cobra.Command {
	var a killArgs
	cmd := &cobra.Command{
		Use:   "kill ID... | filters | --all [--limit N] [--address ADDR | --config FILE]",
		Short: "Closes connections of a gateway that runs",
		Long: `
Closes the client connections with the given IDs, or those that all filters take; see
them before with ` + "`caddy gopr connections`" + ` and the same filters.

Exits with 0 if it closed all that was asked for, with 1 if an ID is none, or no
connection was taken.`,
		Example: "  caddy gopr kill 5f3a9c-1042\n  caddy gopr kill --handler devices --older-than 2d --limit 100",
	}
	read := filterFlags(cmd)
	runsMany(cmd, &a.ids, math.MaxInt, func(ctx context.Context, std stdio) (int, error) {
		a.filter = read()
		return kill(ctx, a, std)
	})
	cmd.Flags().BoolVar(&a.all, "all", false, "close every connection")
	cmd.Flags().Var(number[int]{to: &a.limit, max: 10_000}, "limit", "close at most so many, the oldest first; 0: all that the filters take")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

func upstreamsCommand() *cobra.Command {
	var a upstreamsArgs
	var args []string
	cmd := &cobra.Command{
		Use:   "upstreams [GROUP [VERB [--backend ADDR]]] [--json] [--address ADDR | --config FILE]",
		Short: "Shows the upstreams of a gateway that runs, and pauses or drains them",
		Long: `
Shows the upstream groups of a running Caddy, or one of them. With a verb (pause, resume,
drain, reconnect, disable, enable) has it carried out on the group, or on one of its
backends, and shows the group as it is then.`,
		Example: "  caddy gopr upstreams\n  caddy gopr upstreams devices drain --backend 10.0.0.2:9000",
	}
	runsMany(cmd, &args, 2, func(ctx context.Context, std stdio) (int, error) {
		if len(args) > 0 {
			a.group = args[0]
		}
		if len(args) > 1 {
			a.verb = args[1]
		}
		return upstreams(ctx, a, std)
	})
	cmd.Flags().StringVar(&a.backend, "backend", "", "the backend that the verb is for, as configured; default: all of the group")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one group a line, as the admin API has it")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

func drainCommand() *cobra.Command {
	var a drainArgs
	cmd := &cobra.Command{
		Use:   "drain [HANDLER] [--grace T] [--drain T] [--cancel] [--address ADDR | --config FILE]",
		Short: "Sends the clients of a gateway that runs away, over a time",
		Long: `
Has a running Caddy send the clients of one handler away, or of all, as it does when it
stops, and let nobody new in, until --cancel. It comes back at once; see how far it is
with ` + "`caddy gopr status --watch`" + `.`,
		Example: "  caddy gopr drain devices --grace 5s --drain 30s\n  caddy gopr drain devices --cancel",
	}
	runs(cmd, &a.handler, "", func(ctx context.Context, std stdio) (int, error) { return drain(ctx, a, std) })
	cmd.Flags().StringVar(&a.grace, "grace", "", "time before the first is closed; default: as the configuration says")
	cmd.Flags().StringVar(&a.drain, "drain", "", "time that the closings are spread over; default: as the configuration says")
	cmd.Flags().BoolVar(&a.cancel, "cancel", false, "let clients in again")
	adminFlags(cmd, &a.adminArgs)
	return cmd
}

// adminFlags gives a command the flags that say where the admin endpoint is.
func adminFlags(cmd *cobra.Command, a *adminArgs) {
	cmd.Flags().StringVar(&a.address, "address", "", "address of Caddy's admin endpoint; default: as --config says, else localhost:2019")
	cmd.Flags().StringVar(&a.config, "config", "", "Caddy's configuration, where that says the address")
	cmd.Flags().StringVar(&a.adapter, "adapter", "", "what the configuration is written in, such as caddyfile; default: by its name")
	cmd.Flags().SortFlags = false
}

// runsMany makes a command of a function that takes several arguments.
func runsMany(cmd *cobra.Command, to *[]string, most int, f func(context.Context, stdio) (int, error)) {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > most {
			return exit(cmd, exitUsage, fmt.Errorf("%q is one argument too many: want %s", args[most], cmd.Use))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		*to = args
		return execute(cmd, f)
	}
}
