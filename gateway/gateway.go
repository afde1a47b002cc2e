// Package gateway is the Caddy app gopr: what the handlers of this module share, and what outlives a reload.
//
// A reload makes new handler instances and cleans up the old ones while the connections of the old ones go on. So nothing that a connection needs
// belongs to a handler instance. It is held here, process-wide, counted by all that use it, handler instances and connections alike, and goes with
// the last of them:
//
//	admin.go     its place on the admin endpoint; admin_handlers.go: /gopr/handlers; admin_upstreams.go: /gopr/upstreams and its verbs
//	             admin_connections.go, admin_closed.go, admin_sessions.go, admin_messages.go: those; admin_cursor.go: pages of these; admin_list.go: long answers, pace.go: that nobody feels
//	app.go       the app of one configuration: the names of its handlers, the groups it starts
//	format.go    formats that the configuration declares, in JSON; caddyfile.go, in the Caddyfile
//	layout.go    such a format as wire knows it; notation.go, how values are written
//	lookup.go    a format by its name
//	door.go      who is let in: counts by address (address.go), bans (flapping.go); guard.go, for those that stand before; hello.go, who may not say HELLO
//	authenticator.go  who may say HELLO: what modules for it implement
//	store_config.go  where sessions and messages are kept; stores_config.go, for all handlers
//	sessions.go  sessions, and the stores of a handler; sessions_start.go, opened and closed with the process; sessions_local.go, while a store is away;
//	             sessions_events.go, what is told of them; hellos.go, who waits for one
//	services.go  all sessions that are kept, and what was counted of those before
//	stores.go    stores that are open; shared.go, each once
//	memory.go    a ceiling for the memory of all connections; memory_config.go, its option
//	live.go      what all handlers of one name share: connections, counts
//	conn.go      what is known of a connection; registry.go: those that live, closed.go: those that have ended
//	filter.go    which of them are meant; filter_live.go: of those that live
//	generation.go  settings by the name of their handler: the configuration in force
//	drain.go     nobody new, and those that are there sent away in their time; drain_config.go, how; exit.go, when the process ends
//	group.go     upstream groups, the same one for the same name and settings
//	ended.go     what was counted of groups that have ended, for those that come after them
//	metrics.go   caddy_gopr_* on Caddy's registry: metrics_clients.go, of clients; metrics_upstreams.go, of backends; metrics_sessions.go, of sessions
//	listener.go  the network type gopr/: listening sockets that outlive configurations
//	events.go    what Caddy's events app is told
//	tracing.go   a span of each request
//	log.go       the log of what outlives a configuration; access.go, of connections
//	quiet.go     a log line at most once a second for each reason
package gateway
