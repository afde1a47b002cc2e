package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// options are what a URL says.
type options struct {
	client   redis.UniversalOptions
	prefix   string
	replicas int
}

// name is for errors.
func (o *options) name() string {
	name := strings.Join(o.client.Addrs, ",")
	if o.client.MasterName != "" {
		name += " (" + o.client.MasterName + ")"
	}
	return name
}

const forms = "redis://host:6379/0, rediss:// (TLS), unix:///path/to/socket, redis+sentinel://host1:26379,host2:26379/master/0 or redis+cluster://host1:6379,host2:6379"

// parse never has the password in what it says: the URL may be in a log.
func parse(raw string) (*options, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("this is no URL of a Redis: want " + forms)
	}
	rest, query, _ := strings.Cut(rest, "?")
	o := &options{prefix: "gopr:"}
	o.client.DialTimeout, o.client.ReadTimeout, o.client.WriteTimeout = 5*time.Second, 3*time.Second, 3*time.Second

	// Several hosts are no part of what net/url reads.
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		name, password, _ := strings.Cut(authority[:at], ":")
		var err, err2 error
		o.client.Username, err = url.PathUnescape(name)
		o.client.Password, err2 = url.PathUnescape(password)
		if err != nil || err2 != nil {
			return nil, errors.New("the user or password in the URL of a Redis has a % that is none: write it as %25")
		}
		authority = authority[at+1:]
	}

	if strings.Contains(path, "@") && scheme != "unix" {
		return nil, errors.New("the URL of a Redis has an @ behind its host: a / in the password is written as %2F, and an @ in the path as %40")
	}

	base, secure := scheme, false
	if strings.HasPrefix(scheme, "rediss") {
		base, secure = "redis"+scheme[len("rediss"):], true
		o.client.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	port := "6379"
	var db string
	switch base {
	case "redis":
		db = path
		if strings.Contains(authority, ",") {
			return nil, errors.New("redis:// takes one host; several are redis+sentinel://… or redis+cluster://…")
		}
	case "unix":
		if authority != "" || path == "" {
			return nil, errors.New("a Unix socket is given by its whole path: unix:///run/redis/redis.sock, with a password unix://user:password@/run/redis/redis.sock")
		}
		o.client.Addrs = []string{"/" + path}
	case "redis+sentinel":
		port = "26379"
		o.client.MasterName, db, _ = strings.Cut(path, "/")
		if o.client.MasterName == "" {
			return nil, errors.New("redis+sentinel:// wants the name of the master behind the hosts: redis+sentinel://host1,host2/mymaster/0")
		}
	case "redis+cluster":
		if path != "" && path != "0" {
			return nil, errors.New("a cluster has no databases: redis+cluster://host1,host2")
		}
		o.client.IsClusterMode = true
	default:
		return nil, fmt.Errorf("%q is no scheme of a Redis: want %s", scheme, forms)
	}
	if base != "unix" {
		for host := range strings.SplitSeq(authority, ",") {
			address, err := withPort(host, port)
			if err != nil {
				return nil, err
			}
			o.client.Addrs = append(o.client.Addrs, address)
		}
	}
	if db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("the database of a Redis is a number, as in redis://host:6379/0, not %q", db)
		}
		o.client.DB = n
	}
	return o, o.query(query, base, secure)
}

func withPort(host, port string) (string, error) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("the port %q of a Redis is none: want 1 to 65535", p)
		}
		if h == "" {
			h = "localhost"
		}
		return net.JoinHostPort(h, p), nil
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		return "", errors.New("the URL of a Redis has no host: want " + forms)
	}
	return net.JoinHostPort(host, port), nil
}

// query takes the options behind the question mark.
func (o *options) query(raw, base string, secure bool) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("the options in the URL of a Redis can't be read: want ?name=value&name=value")
	}
	for name, all := range values {
		value := all[len(all)-1]
		var err error
		switch name {
		case "prefix":
			if o.prefix = value; strings.ContainsAny(value, "{}") {
				err = errors.New("must not have braces: they tell a cluster what to hash")
			}
		case "timeout":
			o.client.ReadTimeout, err = duration(value)
			o.client.WriteTimeout = o.client.ReadTimeout
		case "dial_timeout":
			o.client.DialTimeout, err = duration(value)
		case "pool":
			o.client.PoolSize, err = count(value)
		case "replicas":
			o.replicas, err = count(value)
			if base == "redis+cluster" {
				err = errors.New("works with one master; for a cluster set min-replicas-to-write on its nodes")
			}
		case "db":
			o.client.DB, err = strconv.Atoi(value)
			if base != "unix" || err != nil || o.client.DB < 0 {
				err = errors.New("is for unix://, and a number; elsewhere it stands in the path: redis://host:6379/0")
			}
		case "sentinel_user":
			o.client.SentinelUsername = value
		case "sentinel_password":
			o.client.SentinelPassword = value
		case "ca":
			err = o.trust(value, secure)
		default:
			err = errors.New("is none: there are prefix, timeout, dial_timeout, pool, replicas, db, sentinel_user, sentinel_password and ca")
		}
		if err != nil {
			return fmt.Errorf("the option %q in the URL of a Redis %w", name, err)
		}
	}
	return nil
}

// trust has the server's certificate checked against a file of authorities.
func (o *options) trust(file string, secure bool) error {
	if !secure {
		return errors.New("is for rediss://, rediss+sentinel:// and rediss+cluster://")
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("names a file that can't be read: %w", err)
	}
	o.client.TLSConfig.RootCAs = x509.NewCertPool()
	if !o.client.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("names a file without a certificate in PEM: %s", file)
	}
	return nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 100*time.Millisecond || d > time.Minute {
		return 0, errors.New("is a time from 100ms to 1m, as in timeout=3s")
	}
	return d, nil
}

func count(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 10_000 {
		return 0, errors.New("is a number from 1 to 10000")
	}
	return n, nil
}
