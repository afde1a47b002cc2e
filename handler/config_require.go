package handler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Require is what clients must show.
type Require struct {
	// A certificate that the `tls` handler before this one has verified.
	TLSClient *TLSClient `json:"tls_client,omitempty"`
}

// TLSClient is which certificates are accepted, and what who has them may do.
type TLSClient struct {
	// Who is accepted: the first that fits a client's certificate counts, and a client that none fits is closed. Default: any verified certificate.
	Subjects []*Subject `json:"subjects,omitempty"`
}

// Subject are certificates by what they are for. Each pattern that is given must fit; in patterns `*` stands for anything.
type Subject struct {
	// The common name.
	CommonName string `json:"common_name,omitempty"`
	// The organization; where there are several, one of them.
	Organization string `json:"organization,omitempty"`
	// The organizational unit, likewise.
	OrganizationalUnit string `json:"organizational_unit,omitempty"`
	// A subject alternative name: a DNS name, a URI, an e-mail or an IP address.
	AlternativeName string `json:"alternative_name,omitempty"`
	// The application commands that these clients may send, as in the handler's `commands`, and among them. Default: those of the handler.
	Commands []string `json:"commands,omitempty"`
}

const subjectExample = "subject CN=meter-* { … }"

func (h *Handler) unmarshalRequire(d *caddyfile.Dispenser) error {
	if !d.NextArg() || d.Val() != "tls_client" || d.NextArg() {
		return d.Errf("require takes one word, tls_client, and a block: write it as `require tls_client { %s }`", subjectExample)
	}
	c := new(TLSClient)
	h.Require = &Require{TLSClient: c}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "subject" {
			return d.Errf("require tls_client has no option %q; it has subject", d.Val())
		}
		s := new(Subject)
		c.Subjects = append(c.Subjects, s)
		if err := s.unmarshal(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Subject) unmarshal(d *caddyfile.Dispenser) error {
	for d.NextArg() {
		name, pattern, _ := strings.Cut(d.Val(), "=")
		to, ok := map[string]*string{"CN": &s.CommonName, "O": &s.Organization, "OU": &s.OrganizationalUnit, "SAN": &s.AlternativeName}[name]
		switch {
		case !ok || pattern == "":
			return d.Errf("subject: %q is no pattern of CN, O, OU or SAN: write it as `%s`", d.Val(), subjectExample)
		case *to != "":
			return d.Errf("subject: %s is given twice: once is enough", name)
		}
		*to = pattern
	}
	return directive.Block(d, "subject", directive.Options{"commands": directive.List("0x10-0x1F", directive.Append(&s.Commands))})
}

func (h *Handler) compileRequire(s *settings) error {
	if h.Require == nil {
		return nil
	}
	if h.Require.TLSClient == nil {
		return errors.New("require says nothing of what is required: give it `tls_client`, or leave it out")
	}
	s.require = new(require)
	for _, subject := range h.Require.TLSClient.Subjects {
		r, err := subject.compile(s)
		if err != nil {
			return fmt.Errorf("require tls_client: %w", err)
		}
		s.require.subjects = append(s.require.subjects, r)
	}
	return nil
}

func (s *Subject) compile(of *settings) (r role, err error) {
	r = role{cn: s.CommonName, o: s.Organization, ou: s.OrganizationalUnit, san: s.AlternativeName}
	if r.cn == "" && r.o == "" && r.ou == "" && r.san == "" {
		return r, errors.New("a subject without a pattern fits nobody: give it one, as in `" + subjectExample + "`, or `subject CN=*` for whoever has a name")
	}
	if len(s.Commands) == 0 {
		return r, nil
	}
	ranges, err := commandRanges(s.Commands)
	if err != nil {
		return r, fmt.Errorf("subject %v: %w", r, err)
	}
	r.commands = wire.NewCommandSet(ranges...)
	if _, err := of.format.NewDecoder(wire.Rules{Commands: r.commands}); err != nil {
		return r, fmt.Errorf("subject %v: %w", r, err)
	}
	if of.commands != nil && !covers(of.commands, r.commands) {
		return r, fmt.Errorf("subject %v: its commands %v are not all among those that `commands` allows, %v: add them there, or leave them out here", r, r.commands, of.commands)
	}
	return r, nil
}
